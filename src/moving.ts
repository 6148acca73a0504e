import { isDeepStrictEqual } from "node:util";
import type { BackendOptions } from "./backends/options.ts";
import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { LogLevel } from "./core/log.ts";
import type { Directory } from "./directory/directory.ts";
import type { HoldKeeper } from "./moves/hold-keeper.ts";
import { createMoves } from "./moves/create-moves.ts";
import type { MovePhase } from "./moves/move.ts";
import type { Moves } from "./moves/moves.ts";
import type { Logins, OutsideAuthority, Residence } from "./moves/tools.ts";
import { describeConflict, findOutsideAuthority, NO_RECIPIENT, routerPastCaches } from "./outside-authority.ts";
import type { ForgetUser } from "./outside-authority.ts";
import { recipientOf } from "./routing/address.ts";
import type { RoutingDirectory } from "./routing/router.ts";
import type { Running } from "./running.ts";

export interface MovingParts {
  readonly directory: Directory;
  readonly keeper: HoldKeeper;
  readonly running: () => Running;
  readonly logins: Logins;
  /** Default: in this process alone. */
  readonly forgetUser: ForgetUser;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
}

/** The moves of the running daemon. What they need of the configuration is read when it is needed, so that reloads count. */
export function startMoves({ directory, keeper, running, logins, forgetUser, clock, say }: MovingParts): Moves {
  const outside = (): OutsideAuthority | undefined => findOutsideAuthority(running, forgetUser);
  return createMoves({
    directory,
    keeper,
    options() {
      const { moves, hold, drain } = running().config;
      return { ...moves, holdDeadlineMs: hold.deadlineMs, settleMs: drain.settleMs };
    },
    backends: () => running().config.backends,
    pools: () => running().world.pools,
    logins,
    get outside() {
      return outside();
    },
    residence: residenceIn(running, directory, outside),
    bypass: () => bypassOf(running().config),
    clock,
    say,
  });
}

/** Where a user lives by directory, tables and fallback. That mail is held is no matter. */
function residenceIn(
  running: () => Running,
  directory: Directory,
  outside: () => OutsideAuthority | undefined,
): Residence {
  const withoutHolds: RoutingDirectory = {
    find: (user) => ({ backend: directory.findBackend(user), holds: [] }),
  };
  return async (user) => {
    const asked = running();
    const recipient = recipientOf(user, asked.config.routing);
    if (recipient === undefined) return { kind: "cannot-tell", reason: NO_RECIPIENT };
    const route = await routerPastCaches(asked, withoutHolds).route(recipient);
    const conflict = await describeConflict(user, route, outside());
    if (conflict !== undefined) return { kind: "cannot-tell", reason: conflict };
    if (route.kind === "deliver") return { kind: "lives", backend: route.backend };
    const reason = route.kind === "failed" ? route.reason : `the router says "${route.kind}"`;
    return { kind: "cannot-tell", reason };
  };
}

/** A store's address that was given away is used past us, where no drain sees it. */
function bypassOf({ tables }: Config): string | undefined {
  for (const [name, { type, options }] of tables)
    if (type === "routing" && (options as { readonly isDirect?: boolean }).isDirect === true)
      return `table ${name} gives away the addresses of stores (direct: true), so that deliveries may pass us by`;
  return undefined;
}

/** The first of them are enough to know what to do. */
const MAX_NEEDS_TOLD = 20;

/**
 * Moves that a configuration would lead astray: it has a backend of theirs no more, or one of the same name that is
 * another, while they copy to the one that was.
 */
export function movesAgainst(
  directory: Directory,
  old: Config["backends"],
  next: Config["backends"],
): readonly string[] {
  const reasons: string[] = [];
  for (let afterNumber = 0; reasons.length < MAX_NEEDS_TOLD;) {
    const page = directory.moves.list({ isActive: true, afterNumber });
    for (const { id, user, from, to, state } of page)
      for (const name of [from, to])
        if (!next.has(name))
          reasons.push(`backend "${name}" is needed by move ${id} of ${user}: cancel it, or wait for its end`);
        else if (!WAITING.has(state) && isElsewhere(old.get(name), next.get(name)))
          reasons.push(
            `backend "${name}" has another address here, and move ${id} of ${user} is under way: cancel it, or wait for its end`,
          );
    const last = page.at(-1);
    if (last === undefined) break;
    afterNumber = last.number;
  }
  return reasons;
}

/** Nothing of them is under way. */
const WAITING: ReadonlySet<string> = new Set<MovePhase>(["planned", "paused"]);

const isElsewhere = (old: BackendOptions | undefined, next: BackendOptions | undefined): boolean =>
  !isDeepStrictEqual([old?.lmtp, old?.imap?.address], [next?.lmtp, next?.imap?.address]);

/** When users were let in the last time, for as long as a move may have to wait for them. */
export class RecentLogins implements Logins {
  readonly #clock: Clock;
  readonly #atMs = new Map<string, number>();
  /** Whom the daemon before us let in, nobody knows. */
  readonly #startedMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.wallMs();
  }

  note(user: string): void {
    // The newest are the last.
    this.#atMs.delete(user);
    this.#atMs.set(user, this.#clock.wallMs());
    for (const [oldest, atMs] of this.#atMs) {
      if (atMs > this.#clock.wallMs() - KEPT_MS) break;
      this.#atMs.delete(oldest);
    }
  }

  lastLetThroughMs(user: string): number {
    return this.#atMs.get(user) ?? this.#startedMs;
  }
}

/** More than any `moves.lock.grace` in use, in ms. */
const KEPT_MS = 600_000;
