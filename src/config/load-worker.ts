import { parentPort, workerData } from "node:worker_threads";
import type { Config, ConfigFault } from "./config.ts";
import { checkConfigFile, readConfigFile } from "./parse.ts";
import type { Format } from "./parts.ts";

/** What `loadConfig` gives the worker in which this file runs. */
export interface LoadRequest {
  readonly path: string;
  readonly format: Format | undefined;
  /** See `LoadOptions`, also for what follows. */
  readonly takesPipe: boolean;
  readonly checksMachine: boolean;
  /** What the file held when somebody else read it: it is not read again. */
  readonly contents: Uint8Array | undefined;
}

export type LoadReply =
  | {
      readonly kind: "read";
      readonly config: Config;
      readonly warnings: readonly ConfigFault[];
      readonly contents: Uint8Array | undefined;
    }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

const { path, format, takesPipe, checksMachine, contents } = workerData as LoadRequest;
const result = checksMachine
  ? await checkConfigFile(path, format)
  : readConfigFile(path, format, { takesPipe, contents });
const reply: LoadReply =
  result.kind === "read"
    ? { kind: "read", config: result.config, warnings: result.warnings, contents: result.contents }
    : result;
parentPort?.postMessage(reply);
