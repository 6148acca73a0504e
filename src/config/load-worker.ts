import { parentPort, workerData } from "node:worker_threads";
import { readConfigFile } from "./parse.ts";
import type { Format } from "./parse.ts";

/** What `loadConfig` gives the worker in which this file runs. */
export interface LoadRequest {
  readonly path: string;
  readonly format: Format | undefined;
}

const { path, format } = workerData as LoadRequest;
parentPort?.postMessage(readConfigFile(path, format));
