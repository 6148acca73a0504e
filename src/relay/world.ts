import { BackendPool, type PoolContext } from "../backends/pool.ts";
import type { BackendOptions } from "../backends/options.ts";
import { isDeepStrictEqual } from "node:util";
import type { Announcement } from "../protocols/lmtp/greeting.ts";
import { createRouter, type Router, type RouterParts } from "../routing/router.ts";
import type { RoutingOptions } from "../routing/options.ts";
import type { LmtpOptions } from "./options.ts";

export interface WorldParts {
  /** Counts the configurations of this daemon from 1. */
  readonly generation: number;
  readonly backends: ReadonlyMap<string, BackendOptions>;
  readonly tables: RouterParts["tables"];
  readonly directory?: RouterParts["directory"];
  readonly routing: RoutingOptions;
  readonly lmtp: LmtpOptions;
  readonly context: PoolContext;
}

/** All that one configuration gives to transactions, and how many of them still go by it. */
export class World {
  readonly generation: number;
  readonly lmtp: LmtpOptions;
  readonly router: Router;
  readonly pools: ReadonlyMap<string, BackendPool>;
  readonly #loopToken: string;
  #admitted = 0;
  #onDrained: (() => void) | undefined;
  #isReplaced = false;

  constructor(parts: WorldParts, pools: ReadonlyMap<string, BackendPool>) {
    this.generation = parts.generation;
    this.lmtp = parts.lmtp;
    this.pools = pools;
    this.#loopToken = parts.context.loopToken;
    const { routing: options, tables, directory } = parts;
    this.router = createRouter({ directory, options, tables, hasBackend: (name) => pools.has(name) });
  }

  /** Transactions under way whose recipients were routed by this configuration. */
  get admitted(): number {
    return this.#admitted;
  }

  /** Another configuration is in effect: what waited for long must not go by this one. */
  get isReplaced(): boolean {
    return this.#isReplaced;
  }

  admit(): void {
    this.#admitted += 1;
  }

  leave(): void {
    this.#admitted -= 1;
    if (this.#admitted === 0) this.#tellDrained();
  }

  /** Calls back, once, when no transaction goes by this configuration any more. To be asked when no new one can. */
  whenDrained(onDrained: () => void): void {
    this.#isReplaced = true;
    this.#onDrained = onDrained;
    if (this.#admitted === 0) this.#tellDrained();
  }

  #tellDrained(): void {
    const onDrained = this.#onDrained;
    this.#onDrained = undefined;
    onDrained?.();
  }

  /**
   * What we offer clients: our own size cap or the largest of the stores', SMTPUTF8 if any store takes it or was never
   * reached (without it Postfix would bounce such mail), DSN if all stores take it.
   */
  announcement(isTrustedClient: boolean): Announcement {
    const known = [...this.pools.values()].map((pool) => pool.capabilities);
    const limits = known.map((capabilities) => capabilities?.sizeLimitBytes);
    const largest = limits.includes(undefined) ? undefined : Math.max(...limits.map((limit) => limit ?? 0));
    return {
      hostname: this.lmtp.hostname,
      loopToken: this.#loopToken,
      sizeLimitBytes: this.lmtp.maxMessageBytes ?? (largest === 0 ? undefined : largest),
      smtpUtf8: known.some((capabilities) => capabilities?.smtpUtf8 ?? true),
      dsn: known.length > 0 && known.every((capabilities) => capabilities?.dsn ?? false),
      xforward: isTrustedClient,
    };
  }

  /** Breaks every store session: deliveries under way end with 451, those past their final dot as uncertain. */
  destroy(reason: string): void {
    for (const pool of this.pools.values()) pool.destroy(reason);
  }

  /** Ends the idle sessions of those backends that `next` does not share. */
  retire(next: World | undefined): void {
    const kept = new Set(next?.pools.values());
    for (const pool of this.pools.values()) if (!kept.has(pool)) pool.close();
  }
}

/** Makes the world of a configuration. A backend that did not change keeps its sessions. */
export function buildWorld(parts: WorldParts, previous: World | undefined): World {
  const pools = new Map<string, BackendPool>();
  for (const [name, options] of parts.backends) {
    const old = previous?.pools.get(name);
    const isSame =
      old !== undefined && isDeepStrictEqual(old.options, options) && previous?.lmtp.hostname === parts.lmtp.hostname;
    pools.set(name, isSame ? old : new BackendPool(options, parts.context));
  }
  return new World(parts, pools);
}
