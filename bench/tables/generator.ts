import { execFile } from "node:child_process";
import { compile } from "../generator/compile.ts";

export interface Programs {
  /** Asks table servers: see `generator/load.c`. */
  readonly load: string;
  readonly httpService: string;
}

/** Compiles what is written in C into a folder. @throws with what the compiler says */
export const compilePrograms = (folder: string): Programs => ({
  load: compile("load", folder),
  httpService: compile("http-service", folder),
});

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
