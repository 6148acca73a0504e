import { open } from "node:fs/promises";

/** How much of the end of a command's output is looked through, in bytes. */
const LOOKED_AT_BYTES = 64 * 1024;

/** Longer lines are cut: this stands in one line of a log, and in the journal of the move. */
const MAX_LINE_CHARS = 200;

// oxlint-disable-next-line no-control-regex
const CONTROL_CHARS = /[\u0000-\u001f\u007f-\u009f]+/g;

/**
 * The line of a failed command's output that says most likely why: the first that calls itself an error, since what comes
 * after it often only follows from it (doveadm 2.3.19 ends with a backtrace), or else the last one.
 * @param path the log
 * @param fromByte where the output of this command begins
 * @returns undefined where it said nothing, or the log cannot be read
 */
export async function findTellingLine(path: string, fromByte: number): Promise<string | undefined> {
  const lines = (await readEnd(path, fromByte).catch(() => ""))
    .split("\n")
    .map((line) => line.replace(CONTROL_CHARS, " ").trim())
    .filter((line) => line !== "");
  const line = lines.find((text) => /\b(?:error|fatal)\b/i.test(text)) ?? lines.at(-1);
  return line === undefined || line.length <= MAX_LINE_CHARS ? line : `${line.slice(0, MAX_LINE_CHARS)}…`;
}

async function readEnd(path: string, fromByte: number): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    // A log that was cut meanwhile is shorter than it was.
    const start = Math.max(fromByte <= size ? fromByte : 0, size - LOOKED_AT_BYTES);
    const bytes = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead).toString("utf8");
  } finally {
    await file.close();
  }
}
