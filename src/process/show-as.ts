import { writeFileSync } from "node:fs";

/**
 * The name that ps(1) and `pgrep -x` know this process by, else `node`. `process.title` would also write over the
 * command line, which tells whose configuration it is, and tells the pid file's check who lives.
 */
export function showAs(name: string): void {
  try {
    writeFileSync("/proc/self/comm", name);
  } catch {
    process.title = name; // no Linux
  }
}
