import { EXIT } from "../core/exit-codes.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { loadConfig } from "../config/load.ts";
import type { LoadOptions } from "../config/load.ts";

/** Where a command writes: `process.stdout`, or a test's own. */
export interface TextOutput {
  write(text: string): unknown;
}

export interface CheckOptions extends Pick<LoadOptions, "format"> {
  readonly path: string;
}

/** `mailshunt check`: every fault at once. Nothing is bound, connected or changed. */
export async function runCheck({ path, ...options }: CheckOptions, out: TextOutput): Promise<number> {
  const result = await loadConfig(path, { ...options, checksMachine: true });
  const faults = result.kind === "faulty" ? result.faults : result.warnings;
  out.write(faults.map(formatFault).join("") + countFaults(path, faults));
  return result.kind === "faulty" ? EXIT.config : EXIT.ok;
}
