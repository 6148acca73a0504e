import { join } from "node:path";
import { makeSearchableFolder, removeFolder, type RunAs, runOk, startDaemon } from "../support/processes.ts";
import { followText, type ServerLog, until } from "../support/until.ts";

const PODOP = join(import.meta.dirname, "../../bin/podop");

export interface Podop {
  /** The unix socket. */
  readonly socket: string;
  readonly log: ServerLog;
  stop(): Promise<void>;
}

export interface PodopOptions {
  readonly mode: "postfix" | "dovecot";
  /** The three words of each table. */
  readonly tables: readonly { readonly name: string; readonly type?: string; readonly param: string }[];
  /** As Mailu runs it: as the user whose processes connect. */
  readonly runAs: RunAs;
  readonly verbosity?: string;
}

/** Runs the command line of podop as Mailu and podop's manual do. */
export async function startPodop({ mode, tables, runAs, verbosity }: PodopOptions): Promise<Podop> {
  const folder = await makeSearchableFolder("podop");
  await runOk(["chown", `${runAs.user}:${runAs.group}`, folder]);
  const socket = join(folder, "podop.socket");
  const words = tables.flatMap(({ name, type = "url", param }) => ["--name", name, "--type", type, "--param", param]);
  const flags = ["--socket", socket, "--mode", mode, ...words, ...(verbosity === undefined ? [] : [verbosity])];
  const daemon = startDaemon([PODOP, ...flags], { runAs });
  const look = (): true | undefined => {
    if (!daemon.isRunning()) throw new Error(`podop ended:\n${daemon.output()}`);
    return /\bready\b/.test(daemon.output()) ? true : undefined;
  };
  await until("podop is ready", look, { describe: daemon.output }).catch(async (error: unknown) => {
    await daemon.kill();
    throw error;
  });
  return {
    socket,
    log: followText("podop", daemon.output),
    async stop() {
      await daemon.stop();
      await removeFolder(folder);
    },
  };
}
