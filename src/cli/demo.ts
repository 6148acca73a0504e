import { mkdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, relative, resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { loadConfig } from "../config/load.ts";
import { systemClock } from "../core/clock.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import type { Log } from "../core/log.ts";
import { unreachable } from "../core/unreachable.ts";
import { openDirectoryOf, openTablesOf, routerOf, runDaemon } from "../daemon.ts";
import { createRenderer } from "../observe/render.ts";
import { checkPidFile, claimPidFile } from "../process/pid-file.ts";
import { startStoreServer } from "../servers/store-server.ts";
import type { StoreServer } from "../servers/store-server.ts";
import type { TextOutput } from "./command-io.ts";
import { firstConfig } from "./demo-config.ts";
import { toServerOptions } from "./store.ts";

export interface DemoOptions {
  /** Holds the configuration, the pid file and the Maildirs; made where it is missing. */
  readonly directory: string;
  readonly version: string;
}

export interface DemoIo {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
}

/** The backends that are stores of ours, as long as the configuration has them at 127.0.0.1. */
const STORES = ["old", "new"] as const;

/** Who is shown at the start. */
const SHOWN_USERS = ["ann", "bob", "cleo", "dora", "else"];

/** npm passes on the Ctrl-C that the terminal has sent us already: so much later, in ms, it is another one. */
const SAME_CTRL_C_MS = 1000;

type Route = Awaited<ReturnType<ReturnType<typeof routerOf>["route"]>>;

/**
 * `npm start`: the daemon with two stores in the same process, so that whatever ends it ends all of it.
 * @returns the exit code where it cannot start; once it has, the daemon ends the process
 */
export async function runDemo({ directory, version }: DemoOptions, io: DemoIo): Promise<number> {
  const folder = resolve(directory);
  const configPath = join(folder, "mailshunt.yaml");
  const refuse = (error: unknown, advice: string): number => {
    if (!(error instanceof Error && "code" in error)) throw error;
    io.stderr.write(`mailshunt: ${error.message}\n${advice}\n`);
    return EXIT.osError;
  };

  try {
    mkdirSync(folder, { recursive: true });
    checkPidFile(join(folder, "pid"));
    writeUnlessThere(configPath, firstConfig(folder));
  } catch (error) {
    return refuse(error, "Only one can run here: stop the other one first, with Ctrl-C in its terminal.");
  }
  const loaded = await loadConfig(shown(configPath));
  if (loaded.kind === "faulty") {
    const faults = loaded.faults.map(formatFault).join("") + countFaults(shown(configPath), loaded.faults);
    io.stderr.write(`${faults}Correct it, or remove the file: it is then written anew.\n`);
    return EXIT.config;
  }
  const { config } = loaded;

  const stores: StoreServer[] = [];
  process.on("exit", () => {
    for (const store of stores) store.destroy();
  });
  const portAdvice = `Stop what listens there, or write another port into ${shown(configPath)}.`;
  try {
    for (const name of STORES) {
      const store = await startStore(name, config, folder, io);
      if (store !== undefined) stores.push(store);
    }
  } catch (error) {
    return refuse(error, portAdvice);
  }

  let isReady = false;
  process.on("exit", (exitCode) => {
    if (!isReady && exitCode === EXIT.osError) io.stderr.write(`${portAdvice}\n`);
  });
  return runDaemon({
    program: "mailshunt",
    version,
    configuration: { path: configPath },
    isBackground: false,
    sameSignalMs: SAME_CTRL_C_MS,
    keepsFolder: true,
    async onReady() {
      isReady = true;
      const pidFile = claimPidFile(join(folder, "pid"));
      process.on("exit", () => pidFile.remove());
      endWithParent();
      io.stdout.write(await introduce(config, folder));
    },
  });
}

/** What an administrator changed must survive every start. */
function writeUnlessThere(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/** @returns undefined where the configuration has the backend elsewhere, so that it is none of ours */
async function startStore(name: string, config: Config, folder: string, io: DemoIo): Promise<StoreServer | undefined> {
  const address = config.backends.get(name)?.lmtp;
  if (address?.kind !== "tcp" || address.host !== "127.0.0.1") return undefined;
  const options = toServerOptions({ directory: join(folder, name), listen: formatEndpoint(address) });
  return startStoreServer(options, systemClock, troubleLog(io.stderr));
}

/** A store's deliveries are in the daemon's own lines already. */
function troubleLog(stderr: TextOutput): Log {
  const host = hostname().split(".", 1)[0] ?? "";
  const render = createRenderer({ format: "text", audience: "plain", program: "mailshunt", host, pid: process.pid });
  return {
    write(entry) {
      if (entry.kind === "message" && (entry.level === "error" || entry.level === "warning"))
        stderr.write(render(entry, systemClock.wallMs()));
    },
  };
}

/** How often to look, in ms. */
const PARENT_LOOK_MS = 500;

/** A terminal that is closed ends npm and sends us SIGHUP, which is our reload. */
function endWithParent(): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, PARENT_LOOK_MS);
  timer.unref();
}

async function introduce(config: Config, folder: string): Promise<string> {
  const tables = openTablesOf(config, () => undefined);
  const directory = await openDirectoryOf(config);
  const router = routerOf(config, tables, directory);
  const shownFolder = shown(folder);
  const users: string[] = [];
  let homeOfAnn = "old";
  for (const user of SHOWN_USERS) {
    const address = `${user}@example.com`;
    const route = await router.route(address);
    if (user === "ann" && route.kind === "deliver") homeOfAnn = route.backend;
    users.push(`  ${address.padEnd(18)}${describe(route, `${shownFolder}/`, user)}\n`);
  }
  await directory?.close();
  await tables.close();
  const lmtp = config.listeners.find(({ protocol }) => protocol === "lmtp");
  const address = lmtp === undefined ? "127.0.0.1:2424" : formatEndpoint(lmtp.address);
  return `
mailshunt is ready. Where mail goes stands in ${shownFolder}/mailshunt.yaml; now it goes there:

${users.join("")}
Try it from another terminal, in this folder:

  bin/mailshunt send --to ann@example.com --to bob@example.com --to cleo@example.com ${address}
  ls ${shownFolder}/*/*/Maildir/new
  bin/mailshunt route -c ${shownFolder}/mailshunt.yaml ann@example.com

${howToMove(config, shownFolder, homeOfAnn === "new" ? "old" : "new")}
Ctrl-C stops all of it. The mail stays in ${shownFolder}.

`;
}

/** A configuration that was written by an earlier version has no directory. */
function howToMove({ listeners, directory, moves }: Config, shownFolder: string, target: string): string {
  const admin = listeners.find(({ protocol, address }) => protocol === "admin" && address.kind === "unix");
  if (directory === undefined || admin?.address.kind !== "unix" || moves.defaultPreset === undefined)
    return `Then move ann: write "ann: ${target}" into ${shownFolder}/mailshunt.yaml, reload, and send again:

  kill -HUP $(cat ${shownFolder}/pid)
`;
  const address = `unix:${shown(admin.address.path)}`;
  return `Then move ann with all mail, while mail goes on, and send again:

  bin/mailshunt move start --admin ${address} --to ${target} ann
  bin/mailshunt history --admin ${address} ann
`;
}

function describe(route: Route, folder: string, user: string): string {
  switch (route.kind) {
    case "deliver":
      return `${route.backend.padEnd(8)}${STORES.some((name) => name === route.backend) ? `${folder}${route.backend}/${user}/Maildir` : ""}`;
    case "hold":
      return "hold    450: the client keeps it and tries again";
    case "refuse":
      return "refuse  550: it bounces";
    case "unknown":
    case "failed":
      return route.kind;
    default:
      return unreachable(route);
  }
}

/** As somebody in this folder would write it. */
function shown(path: string): string {
  const short = relative("", path);
  return short === "" ? "." : short.startsWith("..") ? path : short;
}
