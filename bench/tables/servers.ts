import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start, type Program } from "../processes.ts";
import { KNOWN_ENTRIES } from "./entries.ts";
import type { Load, Programs } from "./generator.ts";

const root = join(import.meta.dirname, "..", "..");

/** A table behind a protocol. */
export interface TableServer extends Pick<Load, "protocol" | "address" | "map"> {
  readonly name: string;
  /** Whose CPU time counts; undefined where that is more than one process. */
  readonly program: Program | undefined;
}

export interface ServersParts {
  readonly folder: string;
  readonly programs: Programs;
  readonly entriesPath: string;
}

/** One process with one thread, as mailshunt has it; nothing is written to a disk. */
export async function startRedis({ folder }: ServersParts): Promise<TableServer[]> {
  const socket = join(folder, "redis.sock");
  const port = await findPort();
  const nowhere = ["--save", "", "--appendonly", "no", "--dir", folder];
  const program = start("redis-server", ["--unixsocket", socket, "--port", `${port}`, ...nowhere]);
  await awaitListening(program, socket);
  const commands = [...KNOWN_ENTRIES].map(([key, value]) => `SET ${key} ${value}\n`).join("");
  execFileSync("redis-cli", ["-s", socket], { input: commands, stdio: ["pipe", "ignore", "inherit"] });
  const redis = { protocol: "redis", map: "", program } as const;
  return [
    { ...redis, name: "Redis GET, unix", address: `unix:${socket}` },
    { ...redis, name: "Redis GET, TCP", address: `${port}` },
  ];
}

export async function startMapServer({ folder, entriesPath }: ServersParts): Promise<TableServer> {
  const socket = join(folder, "map.sock");
  const program = start(process.execPath, [join(import.meta.dirname, "map-server.ts"), socket, entriesPath]);
  await awaitListening(program, socket);
  return { name: "a Map in Node.js, unix", protocol: "socketmap", address: `unix:${socket}`, map: "map", program };
}

export async function startHttpService({ programs, entriesPath }: ServersParts): Promise<TableServer> {
  const port = await findPort();
  const program = start(programs.httpService, [`${port}`, entriesPath]);
  await awaitListening(program, port);
  return { name: "HTTP service itself, TCP", protocol: "http", address: `${port}`, map: "bench", program };
}

const urlOf = (httpService: TableServer): string => `http://127.0.0.1:${httpService.address}/bench/{}`;

/** All of it in one daemon, as it would run in earnest. */
export async function startMailshunt({ folder }: ServersParts, httpService: TableServer): Promise<TableServer[]> {
  const socketmap = join(folder, "socketmap.sock");
  const dict = join(folder, "dict.sock");
  const port = await findPort();
  const file = join(folder, "mailshunt.json");
  const url = { type: "url", url: urlOf(httpService) };
  // JSON is YAML, too.
  const config = {
    version: 1,
    log: { to: join(folder, "mailshunt.log") },
    listeners: [
      { protocol: "socketmap", address: `unix:${socketmap}` },
      { protocol: "dict", address: `unix:${dict}` },
      { protocol: "tcp-table", address: `127.0.0.1:${port}`, table: "memory" },
    ],
    tables: {
      memory: { type: "static", entries: Object.fromEntries(KNOWN_ENTRIES) },
      url,
      cached: { ...url, cache: { ttl: "1h", absent_ttl: "1h" } },
    },
  };
  writeFileSync(file, JSON.stringify(config, undefined, 1));
  const program = start(join(root, "bin", "mailshunt"), ["serve", "-c", file]);
  await awaitListening(program, dict);
  const asked = { protocol: "socketmap", address: `unix:${socketmap}`, program } as const;
  return [
    { ...asked, name: "mailshunt static, socketmap, unix", map: "memory" },
    { ...asked, name: "mailshunt static, dict, unix", protocol: "dict", address: `unix:${dict}`, map: "memory" },
    { ...asked, name: "mailshunt static, tcp-table, TCP", protocol: "tcp-table", address: `${port}`, map: "" },
    { ...asked, name: "mailshunt url, socketmap, unix", map: "url" },
    { ...asked, name: "mailshunt url, cached, unix", map: "cached" },
  ];
}

/** @param source the folder with `scripts/podop` */
export async function startPodop(
  { folder }: ServersParts,
  httpService: TableServer,
  source: string,
): Promise<TableServer> {
  const socket = join(folder, "podop.sock");
  const table = ["--name", "url", "--type", "url", "--param", urlOf(httpService)];
  // Debian's own Python has Debian's aiohttp.
  const python = [`PYTHONPATH=${source}`, "/usr/bin/python3", join(source, "scripts", "podop")];
  const program = start("env", [...python, "--socket", socket, "--mode", "postfix", ...table]);
  await awaitListening(program, socket);
  return { name: "podop url, unix", protocol: "socketmap", address: `unix:${socket}`, map: "url", program };
}

/** Dovecot's `dict` processes, with the file that its file driver reads. */
export async function startDovecot({ folder }: ServersParts): Promise<TableServer> {
  const socket = join(folder, "dovecot-dict");
  const data = join(folder, "dovecot.data");
  const config = join(folder, "dovecot.conf");
  writeFileSync(data, [...KNOWN_ENTRIES].map(([key, value]) => `shared/${key}\n${value}\n`).join(""), { mode: 0o644 });
  writeFileSync(
    config,
    `base_dir = ${folder}/dovecot-run
state_dir = ${folder}/dovecot-state
log_path = ${folder}/dovecot.log
protocols =
ssl = no
dict {
  bench = file:${data}
}
service dict {
  unix_listener ${socket} {
    mode = 0600
  }
}
`,
  );
  const program = start("dovecot", ["-F", "-c", config]);
  await awaitListening(program, socket);
  return {
    name: "Dovecot dict, file, unix",
    protocol: "dict",
    address: `unix:${socket}`,
    map: "bench",
    program: undefined,
  };
}
