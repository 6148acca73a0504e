import { resolve } from "node:path";
import { translatePodop } from "../config/podop-command.ts";
import { EXIT } from "../core/exit-codes.ts";
import { runDaemon } from "../daemon.ts";
import type { TextOutput } from "./command-io.ts";

export interface PodopFlags {
  readonly socket: string;
  readonly mode: "postfix" | "dovecot";
  readonly name?: readonly string[];
  readonly type?: readonly string[];
  readonly param?: readonly string[];
  readonly verbose?: number;
}

/**
 * The command line of podop: serves tables on a unix socket, to Postfix or to Dovecot.
 * @returns the daemon's exit code; 64 for tables that make no sense
 */
export async function runPodop(flags: PodopFlags, version: string, err: TextOutput): Promise<number> {
  const { name: names = [], type: types = [], param: params = [] } = flags;
  if (names.length !== types.length || names.length !== params.length) {
    err.write(
      `podop: each table needs a --name, a --type and a --param: there are ${names.length}, ${types.length} and ${params.length}\n`,
    );
    return EXIT.usage;
  }
  const translated = translatePodop({
    socket: resolve(flags.socket.replace(/^unix:/, "")),
    mode: flags.mode,
    tables: names.map((name, at) => ({ name, type: types[at] ?? "", param: params[at] ?? "" })),
    verbosity: flags.verbose ?? 0,
  });
  if (translated.kind === "bad") {
    for (const reason of translated.reason.split("\n")) err.write(`podop: ${reason}\n`);
    return EXIT.usage;
  }
  // As podop's, the socket belongs to whoever starts it and has the mode that the umask gives it.
  if (flags.mode === "postfix" && process.geteuid?.() === 0)
    err.write(
      `podop: warning: ${flags.socket} will belong to root, and with the usual umask Postfix cannot connect: start podop as the user postfix\n`,
    );
  return runDaemon({ program: "podop", version, configuration: { config: translated.value }, isBackground: false });
}
