import type { BackendOptions } from "../backends/options.ts";
import type { DirectoryOptions } from "../directory/options.ts";
import type { DrainOptions, HoldOptions, MovesOptions } from "../moves/options.ts";
import type { LmtpOptions } from "../relay/options.ts";
import type { RoutingOptions } from "../routing/options.ts";
import type { ListenerOptions } from "../servers/options.ts";
import type { TableSettings } from "../tables/open-tables.ts";

export interface ProcessOptions {
  /** Dropped to after binding, when started as root. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly pidFile: string | undefined;
  /** How long SIGTERM waits for transactions under way, in ms. */
  readonly shutdownTimeoutMs: number;
  /** Processes that serve clients; with 1 it is the daemon's own. `auto` goes by the machine. */
  readonly workers: number | "auto";
}

export interface LogOptions {
  readonly to:
    | { readonly kind: "stderr" }
    | { readonly kind: "syslog" }
    | { readonly kind: "file"; readonly path: string };
  readonly format: "text" | "json";
  readonly level: "error" | "warning" | "notice" | "info" | "debug";
}

/** The one configuration value, whichever file format it came from. All secrets are already read. */
export interface Config {
  /** Which file and format: for messages only. podop has a command line instead of a file. */
  readonly source: { readonly path: string; readonly format: "mailshunt" | "lmtp-proxy" | "podop" };
  readonly process: ProcessOptions;
  readonly log: LogOptions;
  readonly listeners: readonly ListenerOptions[];
  readonly backends: ReadonlyMap<string, BackendOptions>;
  readonly tables: ReadonlyMap<string, TableSettings>;
  readonly routing: RoutingOptions;
  readonly lmtp: LmtpOptions;
  /** Undefined: users live where the tables say, and nobody can be held but by them. */
  readonly directory: DirectoryOptions | undefined;
  readonly hold: HoldOptions;
  readonly drain: DrainOptions;
  readonly moves: MovesOptions;
}

/** One thing wrong (or odd, for a warning) in a configuration file. Lines and columns count from 1; line 0 is the file as a whole. */
export interface ConfigFault {
  readonly severity: "error" | "warning";
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** The offending line as written, without its line end, secrets masked; of a very long line, the part around `column`. */
  readonly sourceLine: string;
  /** Where in `sourceLine` the fault is, from 1: `column`, unless the line's beginning was left out. */
  readonly caretColumn: number;
  /** For how many faults this one stands: 1, but for the last, `and 17 more`. */
  readonly count: number;
}

export type LoadResult =
  | {
      readonly kind: "loaded";
      readonly config: Config;
      readonly warnings: readonly ConfigFault[];
      /** What the file held, for other processes to read the same. Undefined where there was no file, and for `check`. */
      readonly contents: Uint8Array | undefined;
    }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

// src/config/load.ts exports
//   loadConfig(path: string, options?: { format?: "mailshunt" | "lmtp-proxy" }): Promise<LoadResult>
// (reads and parses in a worker thread; never throws for what is wrong with a file)
