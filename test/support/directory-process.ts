import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "./until.ts";

export interface DirectoryProcess {
  readonly pid: number;
  /** What it has said so far; "open" comes first. */
  readonly said: readonly unknown[];
  /** Says something to it, and returns what it says next. */
  ask(message: string): Promise<unknown>;
  kill(): Promise<void>;
}

/** Another process with the same directory. It does not outlive this one. */
export async function startDirectoryProcess(
  t: TestContext,
  path: string,
  task: "hold" | "move" | "import" | "read",
  first = 0,
): Promise<DirectoryProcess> {
  const child = fork(join(import.meta.dirname, "directory-child.ts"), [path, task, String(first)], { execArgv: [] });
  const said: unknown[] = [];
  const ended = once(child, "exit");
  child.on("message", (message) => said.push(message));
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  t.after(kill);
  await Promise.race([until("a directory's process said something", () => said[0]), ended]);
  return {
    pid: child.pid ?? 0,
    said,
    async ask(message) {
      const known = said.length;
      child.send(message);
      return until("it answered", () => said[known]);
    },
    kill,
  };
}
