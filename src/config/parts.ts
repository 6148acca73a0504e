import { toBackendOptions } from "../backends/options.ts";
import { toLmtpOptions } from "../relay/options.ts";
import { toRoutingOptions } from "../routing/options.ts";
import { toListenerOptions } from "../servers/options.ts";
import type { Config } from "./config.ts";
import type { ReadSection } from "./own-format.ts";

export type Format = Config["source"]["format"];

/** A table before it is opened: this much of it goes from the worker to whoever asks it. */
export interface TableParts {
  readonly name: string;
  readonly type: string;
  readonly options: unknown;
}

/** A configuration that survives structured cloning. */
export type ConfigParts = Omit<Config, "tables"> & { readonly tables: readonly TableParts[] };

export function makeParts(source: Config["source"], { section, passwords }: ReadSection): ConfigParts {
  const { process, log } = section;
  return {
    source,
    process: {
      user: process.user,
      group: process.group,
      pidFile: process.pid_file,
      shutdownTimeoutMs: process.shutdown_timeout,
    },
    log,
    listeners: section.listeners.map(toListenerOptions),
    backends: new Map(
      [...section.backends].map(([name, backend]) => [name, toBackendOptions(name, backend, passwords.get(name))]),
    ),
    tables: [...section.tables].map(([name, { type, options }]) => ({ name, type, options })),
    routing: toRoutingOptions(section.routing),
    lmtp: toLmtpOptions(section.lmtp),
  };
}
