import { parentPort, workerData } from "node:worker_threads";
import { readTableFile } from "./file-read.ts";
import type { ReadRequest } from "./file-read.ts";

parentPort?.postMessage(readTableFile(workerData as ReadRequest));
