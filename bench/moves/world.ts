import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectAdmin, type AdminClient } from "../../src/admin/client.ts";
import type { DirectoryReader } from "../../src/directory/directory.ts";
import { openDirectoryReader } from "../../src/directory/open-directory.ts";
import { awaitListening, findPort, readCpuMicros, start, type Program } from "../processes.ts";

const root = join(import.meta.dirname, "..", "..");

/** By which a move copies nothing: with no process at all, and with one for each sync that does nothing. */
export type NoOp = "nothing" | "true";

/** A daemon with everybody in the store `old`. */
export interface MoveWorld {
  readonly parallel: number;
  readonly lmtpPort: number;
  /** A tcp-table that says where users live. */
  readonly tablePort: number;
  readonly admin: AdminClient;
  /** As another process of the daemon reads it. */
  readonly directory: DirectoryReader;
  /** So far: of the daemon, and of the commands that it has waited for. In microseconds. */
  cpuMicros(): { readonly own: number; readonly commands: number };
  stop(): Promise<void>;
}

export interface WorldParts {
  readonly folder: string;
  /** Of moves at once. */
  readonly parallel: number;
  readonly oldPort: number;
  readonly newPort: number;
}

/** The daemon as it would run in earnest, but that mailboxes are not compared: there are none. */
export async function startWorld({ folder, parallel, oldPort, newPort }: WorldParts): Promise<MoveWorld> {
  mkdirSync(folder);
  const lmtpPort = await findPort();
  const tablePort = await findPort();
  const socket = join(folder, "admin");
  const file = join(folder, "mailshunt.json");
  const store = { kind: "sqlite", path: join(folder, "directory.db") } as const;
  // JSON is YAML, too.
  const config = {
    version: 1,
    log: { to: join(folder, "mailshunt.log") },
    listeners: [
      { protocol: "lmtp", address: `127.0.0.1:${lmtpPort}` },
      { protocol: "tcp-table", address: `127.0.0.1:${tablePort}`, table: "where" },
      { protocol: "admin", address: `unix:${socket}` },
    ],
    backends: { old: { lmtp: `127.0.0.1:${oldPort}` }, new: { lmtp: `127.0.0.1:${newPort}` } },
    tables: { where: { type: "routing", as: "backend" } },
    directory: { store: `sqlite:${store.path}` },
    routing: { key: "localpart", fallback: "old" },
    moves: {
      folder: join(folder, "moves"),
      parallel,
      per_backend: parallel,
      presets: { nothing: { type: "command" }, true: { type: "command", final_sync: ["true"] } },
      address: "{user}@bench.example",
      verify: { enabled: false },
      // Whom the daemon before let in is unknown, and nobody logs in here.
      lock: { grace: "0s" },
    },
  };
  writeFileSync(file, JSON.stringify(config, undefined, 1));
  const program = start(join(root, "bin", "mailshunt"), ["serve", "-c", file]);
  await awaitListening(program, socket);
  const admin = connectAdmin(`unix:${socket}`, undefined);
  await awaitReady(admin);
  const directory = openDirectoryReader({ store });
  return {
    parallel,
    lmtpPort,
    tablePort,
    admin,
    directory,
    cpuMicros: () => readCpu(program),
    async stop() {
      await directory.close();
      await admin.close();
      program.child.kill("SIGTERM");
      await new Promise((resolve) => program.child.once("close", resolve));
    },
  };
}

const READY_TIMEOUT_MS = 15_000;

/** It listens before its directory is open. */
async function awaitReady(admin: AdminClient): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await admin.ask("GET", "/v1/holds");
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
    await sleep(20);
  }
}

/** A tick of proc(5), in microseconds: 100 of them are a second on every Linux in use. */
const TICK_MICROS = 10_000;

function readCpu({ child: { pid = 0 } }: Program): { readonly own: number; readonly commands: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // Fields 16 and 17, where the first behind the name in brackets is field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { own: readCpuMicros(pid), commands: (Number(fields[13]) + Number(fields[14])) * TICK_MICROS };
}

interface Started {
  readonly planned: readonly { readonly id: string; readonly user: string }[];
  readonly refused: readonly { readonly user: string; readonly text: string }[];
}

/** @returns how many were planned @throws Error where one of them cannot be moved */
export async function startMoves({ admin }: MoveWorld, users: readonly string[], preset: NoOp): Promise<Started> {
  const started = await admin.ask<Started>("POST", "/v1/moves", { body: { users, to: "new", preset } });
  const [refused] = started.refused;
  if (refused !== undefined) throw new Error(`${refused.user} cannot be moved: ${refused.text}`);
  return started;
}
