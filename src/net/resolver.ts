import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../core/clock.ts";

export type Resolved =
  | { readonly kind: "found"; readonly ip: string }
  | { readonly kind: "failed"; readonly reason: string };

/** Names to numeric addresses. Never rejects; answers in the same turn for numbers and for what it knows. */
export type Resolver = (host: string) => Resolved | Promise<Resolved>;

/** How long an address found is good for, in ms. The system's own lookup tells no time to live. */
const FOUND_TTL_MS = 30_000;

/** How long a lookup that failed is not asked again, in ms. */
const FAILED_TTL_MS = 1_000;

/** For a lookup, in ms; the system's own limit may be much longer. */
const LOOKUP_TIMEOUT_MS = 5_000;

export interface ResolverParts {
  readonly clock: Clock;
  /** The first address of a name: the system's, but in tests. @throws anything, when there is none */
  readonly lookUp?: (host: string) => Promise<string>;
}

/** For the few names of a configuration: what was looked up once is kept. */
export function createResolver({ clock, lookUp = firstAddress }: ResolverParts): Resolver {
  const known = new Map<string, { readonly resolved: Resolved; readonly untilMs: number }>();
  const underWay = new Map<string, Promise<Resolved>>();

  async function ask(host: string): Promise<Resolved> {
    const late = Promise.withResolvers<Resolved>();
    const timer = clock.after(LOOKUP_TIMEOUT_MS, () =>
      late.resolve(failed(host, `no answer within ${LOOKUP_TIMEOUT_MS / 1000} s`)),
    );
    const asked = lookUp(host).then(
      (ip): Resolved => ({ kind: "found", ip }),
      (error: unknown) => failed(host, error instanceof Error ? error.message : String(error)),
    );
    const resolved = await Promise.race([asked, late.promise]);
    timer.cancel();
    underWay.delete(host);
    known.set(host, { resolved, untilMs: clock.nowMs() + (resolved.kind === "found" ? FOUND_TTL_MS : FAILED_TTL_MS) });
    return resolved;
  }

  return (host) => {
    if (isIP(host) !== 0) return { kind: "found", ip: host };
    const remembered = known.get(host);
    if (remembered !== undefined && clock.nowMs() < remembered.untilMs) return remembered.resolved;
    const asked = underWay.get(host) ?? ask(host);
    underWay.set(host, asked);
    return asked;
  };
}

const failed = (host: string, reason: string): Resolved => ({
  kind: "failed",
  reason: `the address of ${host} cannot be looked up: ${reason}`,
});

/** Of both families the older one, as most stores have it. */
async function firstAddress(host: string): Promise<string> {
  return (await lookup(host, { order: "ipv4first" })).address;
}
