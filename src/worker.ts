// First, for its effect: see there.
import { awaitReloadSignals, onReloadSignal } from "./core/early-signals.ts";
import { hostname } from "node:os";
import { formatFaultLine } from "./config/format-fault.ts";
import { loadConfig } from "./config/load.ts";
import type { Config } from "./config/config.ts";
import { systemClock } from "./core/clock.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import { EXIT } from "./core/exit-codes.ts";
import type { LogLevel } from "./core/log.ts";
import type { DirectoryReader } from "./directory/directory.ts";
import { openDirectoryReader } from "./directory/open-directory.ts";
import { createEngine, LAST_WORDS_MS } from "./engine.ts";
import type { Engine, PreparedEngine } from "./engine.ts";
import { isLockedIn } from "./holding.ts";
import { isDoneWithin } from "./is-done-within.ts";
import { listenAt } from "./net/listener.ts";
import { LOG_CLOSE_MS, logSettings } from "./log-settings.ts";
import { createDaemonLog } from "./observe/daemon-log.ts";
import { errorText } from "./observe/render.ts";
import { showAs } from "./process/show-as.ts";
import type { Delivery } from "./relay/deliveries.ts";
import type { ListenerOptions } from "./servers/options.ts";
import { reasonsOf } from "./reasons.ts";
import { flushTables, reportOf } from "./reporting.ts";
import { count } from "./running.ts";
import { Leases } from "./workers/leases.ts";
import type {
  Answered,
  FromWorker,
  GivenListener,
  LeftDelivery,
  QuestionKind,
  ToWorker,
  WorkerStart,
} from "./workers/messages.ts";

/** The entry of a worker: a process that serves clients, and is told everything else by the one that started it. */

const clock = systemClock;
/** As the log and ps(1) name it: the one that started us says so. */
const program = process.argv[2] === "lmtp-proxy" ? "lmtp-proxy" : "mailshunt";
const log = createDaemonLog({
  program,
  host: hostname().split(".", 1)[0] ?? "",
  pid: process.pid,
  clock,
  environment: process.env,
});
const say = (level: LogLevel, text: string): void => log.write({ kind: "message", level, part: "daemon", text });

/** What the primary was told and has not noted yet, by request. */
const unnoted = new Map<number, () => void>();
let requests = 0;

let engine: Engine | undefined;
let directory: DirectoryReader | undefined;
let prepared: PreparedEngine | undefined;
let isEnding = false;
let start: WorkerStart;
/** Those that this worker serves, or will. */
let listeners: readonly GivenListener[] = [];
/** One after the other: what comes while the worker gets ready waits for that. */
let last: Promise<void> = Promise.resolve();

const leases = new Leases(tell);

function tell(message: FromWorker): void {
  // Where the channel is gone, so are we.
  if (process.connected) process.send?.(message, () => undefined);
}

function inEffect(): Engine {
  if (engine === undefined) throw new Error("asked before the start");
  return engine;
}

async function end(exitCode: number): Promise<never> {
  await log.close(LOG_CLOSE_MS);
  process.exit(exitCode);
}

async function begin(given: WorkerStart): Promise<void> {
  start = given;
  ({ listeners } = given);
  const { config, reasons } = await load(given.contents);
  if (config === undefined) return refuse(reasons);
  try {
    log.configure(logSettings(config, given.isBackground));
    leases.workerCount = given.workerCount;
    leases.expect(given.leases);
    engine = createEngine({
      version: given.version,
      clock,
      log,
      loopToken: given.loopToken,
      quotas: leases,
      servesMail: true,
      listen: (options, events) => listenAt(fdsOf(formatEndpoint(options.address)), options, events),
      listenersOf: ({ listeners }) =>
        listeners.filter(({ address }) => isGiven(formatEndpoint(address))).map(partOfListener),
      makeAdminServer() {
        throw new Error("a worker has no admin listener");
      },
      directory: () => directory,
      isLocked: (user) => isLockedIn(directory, user),
      onUncertain: (delivery) => tellAndWait((request) => ({ kind: "uncertain", request, delivery: toLeft(delivery) })),
      onWritten: (table, keys) => tellAndWait((request) => ({ kind: "written", request, table, keys })),
      metrics: { reloads: () => ({ succeeded: 0, failed: 0 }), directory: () => Promise.resolve(undefined) },
    });
    for (const name of given.disabledBackends) engine.disabledBackends.add(name);
    if (config.directory !== undefined) directory = openDirectoryReader(config.directory);
    await engine.bind(config);
    engine.begin(config);
    tell({ kind: "ready" });
  } catch (error) {
    await refuse(reasonsOf(error));
  }
}

async function refuse(reasons: readonly string[]): Promise<void> {
  tell({ kind: "refused", reasons });
  await end(EXIT.osError);
}

async function load(contents: Uint8Array): Promise<{ config?: Config; reasons: readonly string[] }> {
  const loaded = await loadConfig(start.path, { deadlineClock: clock, contents });
  if (loaded.kind === "faulty") return { reasons: loaded.faults.map(formatFaultLine) };
  const { config } = loaded;
  const hold = { ...config.hold, maxParked: partOf(config.hold.maxParked) };
  return { config: { ...config, hold }, reasons: [] };
}

/** What is counted by client address has no quota: each worker has a part of it. */
const partOf = (max: number): number => Math.ceil(max / start.workerCount);

function partOfListener(listener: ListenerOptions): ListenerOptions {
  const { maxConnections, maxConnectionsPerAddress } = listener;
  // As many as there may be at all: that is no limit of its own.
  if (maxConnectionsPerAddress >= maxConnections) return listener;
  return { ...listener, maxConnectionsPerAddress: partOf(maxConnectionsPerAddress) };
}

const isGiven = (address: string): boolean => listeners.some((given) => given.address === address);
const fdsOf = (address: string): readonly number[] => listeners.find((given) => given.address === address)?.fds ?? [];

/** Resolves when the primary has done what it is told. */
function tellAndWait(message: (request: number) => FromWorker): Promise<void> {
  requests += 1;
  const request = requests;
  return new Promise((resolve) => {
    unnoted.set(request, resolve);
    tell(message(request));
  });
}

const toLeft = ({ user, session, backend, stage, sinceMs }: Delivery): LeftDelivery => ({
  user,
  session,
  backend,
  stage,
  ageMs: clock.nowMs() - sinceMs,
});

async function prepare(message: Extract<ToWorker, { kind: "prepare" }>): Promise<Answered<"prepare">> {
  const { config, reasons } = await load(message.contents);
  if (config === undefined) return { reasons };
  try {
    leases.expect(message.leases);
    prepared = await inEffect().prepare(config);
    return { reasons: [] };
  } catch (error) {
    return { reasons: reasonsOf(error) };
  }
}

async function commit(): Promise<Answered<"commit">> {
  if (prepared === undefined) return {};
  const { next } = prepared;
  const drained = prepared.commit();
  prepared = undefined;
  // What is closed is never ours again: by now its descriptor may be somebody else's.
  const kept = new Set(next.config.listeners.map(({ address }) => formatEndpoint(address)));
  listeners = listeners.filter(({ address }) => kept.has(address));
  try {
    log.configure(logSettings(next.config, start.isBackground));
  } catch (error) {
    say("error", `the log stays as it was: ${reasonsOf(error).join("; ")}`);
  }
  await drained;
  return {};
}

function reopenLog(): void {
  try {
    log.reopen();
  } catch (error) {
    say("error", `the log goes on in the old file: ${reasonsOf(error).join("; ")}`);
  }
}

async function drain({ user, graceMs, timeoutMs }: Extract<ToWorker, { kind: "drain" }>): Promise<Answered<"drain">> {
  const { found, cut, left } = await inEffect().deliveries.drain(user, { graceMs, timeoutMs }, clock);
  return { found, cut, left: left.map(toLeft) };
}

async function report(maxDeliveries: number): Promise<Answered<"report">> {
  const { metrics } = inEffect();
  return { ...reportOf(inEffect(), maxDeliveries, clock), metrics: await metrics.collect() };
}

async function stop(limitMs: number): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  const { tables } = inEffect().inEffect();
  const onLate = (): void => {
    const clients = count(inEffect().listeners.connectionCount, "client");
    say("warning", `${clients} not finished after ${limitMs} ms: closing`);
  };
  await inEffect().end(limitMs, onLate, allNoted());
  await isDoneWithin(Promise.all([tables.close(), directory?.close()]), LAST_WORDS_MS);
  // What is not written down yet would not be: as after a crash everyone is uncertain then.
  await end(unnoted.size === 0 && inEffect().deliveries.count === 0 ? EXIT.ok : EXIT.tempFail);
}

async function allNoted(): Promise<void> {
  while (unnoted.size > 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Clients stay until they leave. */
function retire(): void {
  const { listeners } = inEffect();
  leases.workerCount = Infinity;
  listeners.stopAccepting();
  void listeners.emptied().then(() => stop(inEffect().inEffect().config.process.shutdownTimeoutMs));
}

function answer(request: number, given: Promise<Answered<QuestionKind>>): void {
  void given.then((known) => tell({ kind: "answer", request, answer: known }));
}

function on(message: ToWorker): void {
  switch (message.kind) {
    case "start":
      return;
    case "open":
      return inEffect().open();
    case "prepare":
      return answer(message.request, prepare(message));
    case "commit":
      return answer(message.request, commit());
    case "abort":
      prepared?.abort();
      prepared = undefined;
      return;
    case "retire":
      return retire();
    case "stop":
      return void stop(message.limitMs);
    case "drain":
      return answer(message.request, drain(message));
    case "report":
      return answer(message.request, report(message.maxDeliveries));
    case "ping":
      return answer(message.request, Promise.resolve({}));
    case "forget": {
      const { tables } = inEffect().inEffect();
      for (const key of message.keys) tables.forget(message.table, key);
      return answer(message.request, Promise.resolve({}));
    }
    case "last-login":
      return answer(message.request, Promise.resolve({ atMs: inEffect().logins.lastLetThroughMs(message.user) }));
    case "released":
      return inEffect().parking.release(message.user);
    case "backend":
      if (message.isDisabled) inEffect().disabledBackends.add(message.name);
      else inEffect().disabledBackends.delete(message.name);
      return;
    case "reopen-log":
      return reopenLog();
    case "flush":
      return flushTables(inEffect());
    case "noted":
      unnoted.get(message.request)?.();
      return void unnoted.delete(message.request);
    case "granted":
    case "denied":
    case "claim":
    case "even":
      return leases.on(message);
  }
}

showAs(program);
// The primary tells when to end and when to reload; a signal to the whole group, as Ctrl-C is, goes to it too.
awaitReloadSignals();
onReloadSignal(() => undefined);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => undefined);
process.on("exit", () => log.flushNow());
process.once("uncaughtException", (error) => {
  process.on("uncaughtException", () => undefined);
  say("error", `a bug, ending this worker: ${errorText(error)}`);
  void end(EXIT.software);
});
// Without it nobody says who is held: another daemon may move mailboxes by now.
process.once("disconnect", () => {
  say("error", "the main process is gone: ending at once");
  void log.close(LOG_CLOSE_MS);
  log.flushNow();
  process.exit(EXIT.software);
});
process.on("message", (message: ToWorker) => {
  if (message.kind === "start") last = begin(message);
  else if (engine === undefined || engine.running === undefined) void last.then(() => on(message));
  else on(message);
});
