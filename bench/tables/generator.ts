import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";

const SOURCE = join(import.meta.dirname, "..", "generator");

export interface Programs {
  /** Asks table servers: see `generator/load.c`. */
  readonly load: string;
  readonly httpService: string;
}

/** Compiles what is written in C into a folder. @throws with what the compiler says */
export function compilePrograms(folder: string): Programs {
  const compile = (name: string): string => {
    const program = join(folder, name);
    const sources = [`${name}.c`, "protocols.c", "entries.c"].map((file) => join(SOURCE, file));
    execFileSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, ...sources]);
    return program;
  };
  return { load: compile("load"), httpService: compile("http-service") };
}

export interface Load {
  readonly protocol: "socketmap" | "tcp-table" | "dict" | "redis" | "http";
  /** `unix:/path`, or a port of 127.0.0.1. */
  readonly address: string;
  /** The table's name, where the protocol has it. */
  readonly map: string;
  /** Each with one request in flight. */
  readonly connections: number;
  readonly seconds: number;
  readonly entriesPath: string;
}

export interface LoadFigures {
  readonly lookups: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** @throws when an answer was wrong or did not come: the message says to what */
export function runLoad(program: string, load: Load): Promise<LoadFigures> {
  const { protocol, address, map, connections, seconds, entriesPath } = load;
  const args = [protocol, address, map, String(connections), String(seconds), entriesPath];
  return new Promise((resolve, reject) => {
    execFile(program, args, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as LoadFigures);
      else reject(new Error(stderr.trim() === "" ? error.message : stderr.trim(), { cause: error }));
    });
  });
}
