import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** What a process and all that descend from it use. Sources: proc(5); Documentation/scheduler/sched-stats.rst of Linux. */
export interface TreeUse {
  /** Of all threads that run, and of the children that have ended, in microseconds. */
  readonly cpuMicros: number;
  readonly residentBytes: number;
  /** The sum of each process's own peak: pages that processes share count once for each. */
  readonly peakBytes: number;
  readonly descriptors: number;
}

/** CPU time of children that have ended is kept in hundredths of a second. */
const TICK_MICROS = 10_000;

export function readTree(pid: number): TreeUse {
  let [cpuMicros, residentBytes, peakBytes, descriptors] = [0, 0, 0, 0];
  for (const { id, endedChildrenMicros } of findTree(pid)) {
    cpuMicros += endedChildrenMicros + readThreadsMicros(id);
    const status = readProc(`${id}/status`);
    residentBytes += readKilobytes(status, "VmRSS");
    peakBytes += readKilobytes(status, "VmHWM");
    descriptors += listProc(`${id}/fd`).length;
  }
  return { cpuMicros, residentBytes, peakBytes, descriptors };
}

/** From now on a peak is what is reached from now on. */
export function resetPeaks(pid: number): void {
  // 5 resets VmHWM: proc(5), clear_refs.
  for (const { id } of findTree(pid)) writeFileSync(`/proc/${id}/clear_refs`, "5");
}

interface TreeProcess {
  readonly id: number;
  readonly endedChildrenMicros: number;
}

function findTree(root: number): TreeProcess[] {
  const childrenOf = new Map<number, TreeProcess[]>();
  for (const name of listProc("")) {
    if (!/^\d+$/.test(name)) continue;
    // What follows the name, which may hold anything: state, parent, and so on.
    const fields = readProc(`${name}/stat`).split(") ").at(-1)?.split(" ") ?? [];
    const endedChildrenMicros = (Number(fields[13]) + Number(fields[14])) * TICK_MICROS;
    const child = { id: Number(name), endedChildrenMicros: endedChildrenMicros || 0 };
    const parent = child.id === root ? 0 : Number(fields[1]);
    if (parent === 0 && child.id !== root) continue;
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), child]);
  }
  const tree = [...(childrenOf.get(0) ?? [])];
  for (const each of tree) tree.push(...(childrenOf.get(each.id) ?? []));
  return tree;
}

function readThreadsMicros(id: number): number {
  let nanos = 0;
  for (const thread of listProc(`${id}/task`))
    nanos += Number(readProc(`${id}/task/${thread}/schedstat`).split(" ")[0] ?? 0);
  return nanos / 1_000;
}

const readKilobytes = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1_024;

/** Empty when the process has just ended. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}

function listProc(path: string): string[] {
  try {
    return readdirSync(`/proc/${path}`);
  } catch {
    return [];
  }
}
