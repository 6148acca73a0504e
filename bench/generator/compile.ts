import { execFileSync } from "node:child_process";
import { join } from "node:path";

const SOURCES = {
  load: ["load.c", "protocols.c", "entries.c", "times.c"],
  "http-service": ["http-service.c", "protocols.c", "entries.c"],
  "lmtp-load": ["lmtp-load.c", "times.c"],
  "lmtp-sink": ["lmtp-sink.c"],
} as const;

/** Compiles a program of this folder into another one. @returns its path @throws with what the compiler says */
export function compile(name: keyof typeof SOURCES, folder: string): string {
  const program = join(folder, name);
  const sources = SOURCES[name].map((file) => join(import.meta.dirname, file));
  execFileSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, ...sources]);
  return program;
}
