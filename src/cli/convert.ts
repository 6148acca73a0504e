import { EXIT } from "../core/exit-codes.ts";
import { writeOwnFormat } from "../config/convert.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { readConfigFile } from "../config/parse.ts";
import type { TextOutput } from "./check.ts";

export interface ConvertOptions {
  readonly path: string;
}

/**
 * `mailshunt convert`: the own format of a file in that of `lmtp-proxy`, on `out`; faults and warnings on `err`.
 * Reads in this thread: nothing else waits for it.
 */
export function runConvert({ path }: ConvertOptions, out: TextOutput, err: TextOutput): Promise<number> {
  const result = readConfigFile(path, undefined, { takesPipe: true });
  const faults = result.kind === "faulty" ? result.faults : result.warnings;
  if (faults.length > 0) err.write(faults.map(formatFault).join("") + countFaults(path, faults));
  if (result.kind === "faulty") return Promise.resolve(EXIT.config);
  if (result.translation === undefined) {
    err.write(`${path} is in mailshunt's own format already: nothing to convert\n`);
    return Promise.resolve(EXIT.config);
  }
  for (const piece of writeOwnFormat(path, result.translation)) out.write(piece);
  return Promise.resolve(EXIT.ok);
}
