import { readFileSync, readdirSync } from "node:fs";

/** In the environment of all that a test file starts, so that it is known wherever it went. */
export const MARK = "MAILSHUNT_TEST_FILE";

export interface Stray {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes that a test file's process left behind: of its process group, or with its mark in their environment.
 * Where there is no /proc nothing is found, and only the group is ended.
 */
export function findStrays(group: number, mark: string): Stray[] {
  const pids = readOr(() => readdirSync("/proc"), []).filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const stat = read(`/proc/${pid}/stat`);
    // The command, which may hold blanks and brackets, ends at the last bracket; then: state, parent, group.
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state === undefined || state === "Z" || state === "X") return [];
    const isMarked = read(`/proc/${pid}/environ`).split("\0").includes(`${MARK}=${mark}`);
    if (Number(pgrp) !== group && !isMarked) return [];
    return [{ pid: Number(pid), command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() }];
  });
}

export function endStrays(group: number, mark: string): void {
  kill(-group);
  for (const { pid } of findStrays(group, mark)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/** A process may end while it is looked at. */
function read(path: string): string {
  return readOr(() => readFileSync(path, "utf8"), "");
}

function readOr<T>(attempt: () => T, otherwise: T): T {
  try {
    return attempt();
  } catch {
    return otherwise;
  }
}
