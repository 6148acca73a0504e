import { closeSync, constants, fstatSync, openSync } from "node:fs";
import type { Stats } from "node:fs";

/**
 * Opens a file to read. A regular file alone unless `takesPipe`: a pipe or device may never end, and says a thing but
 * once, so that no reload could read it again.
 * @param takesPipe for commands, whose user sees what they wait for: `-c /dev/stdin`, `-c <(command)`
 * @throws what `open` says, or Error with what stands there instead of a file
 */
export function openFile(path: string, takesPipe: boolean): number {
  // Without O_NONBLOCK the open of a pipe waits for its writer; to a regular file it means nothing. Source: open(2).
  const file = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | (takesPipe ? 0 : constants.O_NONBLOCK));
  const stats = fstatSync(file);
  if (stats.isFile() || (takesPipe && !stats.isDirectory())) return file;
  closeSync(file);
  throw new Error(`it is ${describeKind(stats)}, not a file`);
}

function describeKind(stats: Stats): string {
  if (stats.isDirectory()) return "a directory";
  return stats.isFIFO() ? "a pipe" : "a device";
}
