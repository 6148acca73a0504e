import { constants, openSync } from "node:fs";

/** Opens a pipe to write; undefined while nobody reads from it. */
export function openForReader(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
