import { toBackendOptions } from "../backends/options.ts";
import { toDirectoryOptions } from "../directory/options.ts";
import { toDrainOptions, toHoldOptions, toMovesOptions } from "../moves/options.ts";
import { toLmtpOptions } from "../relay/options.ts";
import { toRoutingOptions } from "../routing/options.ts";
import type { Config } from "./config.ts";
import type { ReadSection } from "./own-format.ts";

/** What a file can be in. */
export type Format = "mailshunt" | "lmtp-proxy";

export function makeParts(source: Config["source"], { section, passwords }: ReadSection): Config {
  const { process, log } = section;
  return {
    source,
    process: {
      user: process.user,
      group: process.group,
      pidFile: process.pid_file,
      shutdownTimeoutMs: process.shutdown_timeout,
      workers: process.workers,
    },
    log,
    listeners: section.listeners,
    backends: new Map(
      [...section.backends].map(([name, backend]) => [name, toBackendOptions(name, backend, passwords.get(name))]),
    ),
    tables: section.tables,
    routing: toRoutingOptions(section.routing, section.directory?.write_through),
    lmtp: toLmtpOptions(section.lmtp),
    directory: section.directory && toDirectoryOptions(section.directory),
    hold: toHoldOptions(section.hold),
    drain: toDrainOptions(section.drain),
    moves: toMovesOptions(section.moves),
  };
}
