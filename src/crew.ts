import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { quotaKey as backendQuota } from "./backends/pool.ts";
import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { LogLevel } from "./core/log.ts";
import type { Engine, PreparedEngine } from "./engine.ts";
import { noteUncertain } from "./holding.ts";
import { canBind } from "./net/listener.ts";
import type { Holding } from "./holding.ts";
import type { DeliveriesUnderWay } from "./moves/hold-keeper.ts";
import { quotaKey as listenerQuota } from "./servers/connection-server.ts";
import type { WorkerStart } from "./workers/messages.ts";
import { WorkerSet } from "./workers/worker-set.ts";
import type { PreparedWorkers } from "./workers/worker-set.ts";

export interface CrewParts {
  readonly engine: Engine;
  readonly holding: () => Holding | undefined;
  readonly program: string;
  readonly start: Pick<WorkerStart, "version" | "isBackground" | "loopToken">;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
}

/** All processes that serve clients, for what must be done in each: this one, and workers where the configuration has them. */
export interface Crew {
  /** Undefined where this process does all. */
  readonly workers: WorkerSet | undefined;
  /** @throws WorkerRefused; then no worker is left */
  startWorkers(config: Config, contents: Uint8Array): Promise<void>;
  /** @param contents undefined where there is no file, and no workers then. @throws WorkerRefused; then nothing has changed */
  prepare(config: Config, contents: Uint8Array | undefined, listeners: Opened): Promise<PreparedWorkers | undefined>;
  readonly drain: DeliveriesUnderWay["drain"];
  /** Resolves when nobody answers any more by what was known of these keys. */
  forget(table: string, keys: readonly string[]): Promise<void>;
  /** When a login of the user was last let through, on the wall clock in ms. */
  lastLetThroughMs(user: string): Promise<number>;
  /** The user's last hold is gone. */
  release(user: string): void;
}

type Opened = PreparedEngine["listeners"];

/** This file's own ending, so that it works as TypeScript and as JavaScript. */
const WORKER_FILE = fileURLToPath(new URL(import.meta.url.replace(/crew(\.[a-z]+)$/, "worker$1")));

export function createCrew({ engine, holding, program, start, clock, say }: CrewParts): Crew {
  let workers: WorkerSet | undefined;

  async function startWorkers(config: Config, contents: Uint8Array): Promise<void> {
    workers = new WorkerSet({
      count: countProcesses(config.process.workers),
      file: WORKER_FILE,
      program,
      start: { ...start, path: config.source.path },
      disabledBackends: engine.disabledBackends,
      clock,
      say,
      onUncertain: ({ ageMs, ...delivery }) =>
        noteUncertain(holding(), { ...delivery, sinceMs: clock.nowMs() - ageMs }),
      onWritten: forget,
      async onCrashed(why) {
        const held = holding();
        held?.moves.interrupt(why);
        try {
          await held?.keeper.onEveryoneUncertain(why);
        } catch (error) {
          say(
            "error",
            `that is remembered only until this daemon ends: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
      },
    });
    await workers.start({ contents, listeners: fdsOf(engine.listeners.listeners), quotas: quotasOf(config) });
  }

  async function prepare(
    config: Config,
    contents: Uint8Array | undefined,
    listeners: Opened,
  ): Promise<PreparedWorkers | undefined> {
    if (contents === undefined) return undefined;
    return workers?.prepare({ contents, listeners: fdsOf(listeners), quotas: quotasOf(config) });
  }

  const drain: Crew["drain"] = async (user, options) => {
    const [own, others] = await Promise.all([
      engine.deliveries.drain(user, options, clock),
      workers?.roster.drain(user, options),
    ]);
    if (others === undefined) return own;
    const left = others.left.map(({ ageMs, ...delivery }) => ({ ...delivery, sinceMs: clock.nowMs() - ageMs }));
    return { found: own.found + others.found, cut: own.cut + others.cut, left: [...own.left, ...left] };
  };

  async function forget(table: string, keys: readonly string[]): Promise<void> {
    const { tables } = engine.inEffect();
    for (const key of keys) tables.forget(table, key);
    await workers?.roster.forget(table, keys);
  }

  return {
    get workers() {
      return workers;
    },
    startWorkers,
    prepare,
    drain,
    forget,
    lastLetThroughMs: async (user) =>
      Math.max(engine.logins.lastLetThroughMs(user), (await workers?.roster.lastLoginMs(user)) ?? 0),
    release(user) {
      engine.parking.release(user);
      workers?.roster.tellAll({ kind: "released", user });
    },
  };
}

/** Of `auto`. */
const MAX_AUTO_WORKERS = 8;

/** How many processes serve clients. With one or two cores one is quicker than several. */
function countProcesses(workers: Config["process"]["workers"]): number {
  if (workers !== "auto") return workers;
  const cores = availableParallelism();
  return cores <= 2 || !canBind ? 1 : Math.min(cores, MAX_AUTO_WORKERS);
}

/** @throws CannotHaveWorkers */
export function needsWorkers(config: Config): boolean {
  const isNeeded = countProcesses(config.process.workers) > 1;
  if (isNeeded && !canBind) throw new CannotHaveWorkers();
  return isNeeded;
}

class CannotHaveWorkers extends Error {
  override readonly name = "CannotHaveWorkers";
  readonly code = "CANNOT_HAVE_WORKERS";

  constructor() {
    super(`process.workers: Node ${process.versions.node} cannot have more than 1: update it, or leave this out`);
  }
}

/** Descriptors of the listeners that workers serve. */
function fdsOf(listeners: Opened): ReadonlyMap<string, readonly number[]> {
  return new Map([...listeners].flatMap(([address, { fds }]) => (fds === undefined ? [] : [[address, fds] as const])));
}

/** What holds for all workers together. */
function quotasOf({ backends, listeners }: Config): ReadonlyMap<string, number> {
  return new Map([
    ...[...backends.values()].map((backend) => [backendQuota(backend), backend.maxConnections] as const),
    ...listeners.map((listener) => [listenerQuota(listener), listener.maxConnections] as const),
  ]);
}
