import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { breakOff } from "./break-off.ts";
import { serveFake } from "./fake-backend-session.ts";
import type { FakeBackendOptions, FakeEvent, FakeTransaction, Script } from "./fake-backend-types.ts";

export type * from "./fake-backend-types.ts";

export type FakeEndpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/**
 * An LMTP store that does as it is told, wrong things included. Without a script it accepts everybody.
 * It takes commands one after the other, so a pipelined burst is answered in order.
 */
export interface FakeBackend {
  /** Where it listens; the same after `stop` and `start`. */
  readonly endpoint: FakeEndpoint;
  /** May be changed at any time; each stage looks when it comes. */
  readonly script: Script;
  /** Every MAIL that was answered 2xx, in order. */
  readonly transactions: readonly FakeTransaction[];
  /** Those whose final dot came. */
  readonly delivered: readonly FakeTransaction[];
  /** Command lines of all connections in the order they were taken. */
  readonly commands: readonly string[];
  /** What no client may do whatever the store does: a test ends with `assert.deepEqual(fake.violations, [])`. */
  readonly violations: readonly string[];
  /** Connections open now. */
  readonly open: number;
  /** How often something has happened so far; for `body-bytes` the number of bytes. */
  count(event: FakeEvent): number;
  /** Resolves once the event has happened `times` times in all, now or earlier. */
  waitFor(event: FakeEvent, times?: number): Promise<void>;
  /** Lets everything go on that stalls. Throws when nothing does: wait for `stall` first. */
  release(): void;
  /** Announces other keywords from the next LHLO on. */
  announce(keywords: readonly string[]): void;
  /** Breaks all connections and stops listening. */
  stop(): Promise<void>;
  /** Listens again where it did. */
  start(): Promise<void>;
  /** Breaks the connections open now. */
  reset(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Waiter {
  readonly event: FakeEvent;
  readonly times: number;
  readonly resolve: () => void;
}

export async function startFakeBackend(options: FakeBackendOptions = {}): Promise<FakeBackend> {
  const counts = new Map<FakeEvent, number>();
  const waiters = new Set<Waiter>();
  const transactions: FakeTransaction[] = [];
  const violations: string[] = [];
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const script: Script = { ...options.script };
  let keywords = options.keywords ?? ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"];
  let stalls: (() => void)[] = [];

  const count = (event: FakeEvent): number => counts.get(event) ?? 0;
  const note = (event: FakeEvent, by = 1): void => {
    counts.set(event, count(event) + by);
    for (const waiter of waiters) if (waiter.event === event && count(event) >= waiter.times) waiter.resolve();
  };
  const stalled = (): Promise<void> => new Promise((resolve) => stalls.push(resolve));

  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => note("reset"));
    socket.once("close", () => sockets.delete(socket));
    note("connection");
    const shared = {
      options,
      script,
      keywords: () => keywords,
      transactions,
      violations,
      commands,
      note,
      stalled,
    };
    void serveFake(socket, count("connection"), shared);
  });
  let at: { path: string } | { host: string; port: number } =
    options.path === undefined ? { host: "127.0.0.1", port: options.port ?? 0 } : { path: options.path };
  const start = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      resolve();
    });
    await promise;
    if ("port" in at) at = { ...at, port: (server.address() as AddressInfo).port };
  };
  await start();
  const endpoint: FakeEndpoint = "path" in at ? { kind: "unix", ...at } : { kind: "tcp", ...at };

  const reset = (): void => {
    for (const socket of sockets) breakOff(socket);
  };
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const waiting = stalls;
    reset();
    stalls = [];
    for (const go of waiting) go();
    await closed;
  };

  return {
    endpoint,
    script,
    transactions,
    get delivered() {
      return transactions.filter((transaction) => transaction.ended === "dot");
    },
    commands,
    violations,
    get open() {
      return sockets.size;
    },
    count,
    async waitFor(event, times = 1) {
      if (count(event) >= times) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiter: Waiter = { event, times, resolve };
      waiters.add(waiter);
      const patienceMs = options.patienceMs ?? 10_000;
      const impatient = setTimeout(() => {
        const seen = [...counts].map(([name, times]) => `${name} ${times}`).join(", ");
        reject(new Error(`waited ${patienceMs} ms for ${event} x ${times}; seen: ${seen || "nothing"}`));
      }, patienceMs);
      try {
        await promise;
      } finally {
        clearTimeout(impatient);
        waiters.delete(waiter);
      }
    },
    release() {
      const waiting = stalls;
      if (waiting.length === 0) throw new Error("nothing stalls");
      stalls = [];
      for (const go of waiting) go();
    },
    announce(list) {
      keywords = list;
    },
    stop,
    start,
    reset,
    [Symbol.asyncDispose]: stop,
  };
}
