import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface FakeLogger {
  /** Put before the others in PATH. */
  readonly binFolder: string;
  /** Every line that was logged, as it came over stdin. */
  readonly linesPath: string;
  /** One line for each start: the arguments, and NOTIFY_SOCKET if it came along. */
  readonly startsPath: string;
}

/** A `logger` program that keeps what it gets. With `dieAfterLines` it ends after so many lines, with exit code 3. */
export function installFakeLogger(folder: string, options: { readonly dieAfterLines?: number } = {}): FakeLogger {
  const binFolder = join(folder, "bin");
  const linesPath = join(folder, "logged");
  const startsPath = join(folder, "starts");
  mkdirSync(binFolder, { recursive: true });
  const limit = options.dieAfterLines ?? -1;
  const script = [
    "#!/bin/sh",
    `echo "$* notify=$NOTIFY_SOCKET" >> '${startsPath}'`,
    `left=${limit}`,
    'while [ "$left" -ne 0 ] && IFS= read -r line; do',
    `  printf '%s\\n' "$line" >> '${linesPath}'`,
    "  left=$((left - 1))",
    "done",
    '[ "$left" -ne 0 ] || exit 3',
    "",
  ].join("\n");
  writeFileSync(join(binFolder, "logger"), script);
  chmodSync(join(binFolder, "logger"), 0o755);
  return { binFolder, linesPath, startsPath };
}
