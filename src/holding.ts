import { countHolds } from "./admin/count-holds.ts";
import { beginCountingMoves } from "./admin/count-moves.ts";
import type { MoveCounts } from "./admin/count-moves.ts";
import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { LogLevel } from "./core/log.ts";
import type { Directory, DirectoryReader } from "./directory/directory.ts";
import { keepHistory } from "./directory/keep-history.ts";
import type { Logins } from "./moves/tools.ts";
import type { Moves } from "./moves/moves.ts";
import { startMoves } from "./moving.ts";
import type { ForgetUser } from "./outside-authority.ts";
import type { Running } from "./running.ts";
import { HoldKeeper } from "./moves/hold-keeper.ts";
import type { DeliveriesUnderWay } from "./moves/hold-keeper.ts";
import { isLockedPhase } from "./moves/move.ts";
import type { DirectoryState } from "./observe/metrics.ts";

export interface HoldingParts {
  readonly running: () => Running;
  readonly logins: Logins;
  readonly forgetUser: ForgetUser;
  /** In every process. */
  readonly deliveries: DeliveriesUnderWay;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
  /** The user's last hold is gone: whoever is parked, in any process, may go on. */
  readonly onReleased: (user: string) => void;
}

/** The directory of the running daemon, and who holds users in it. */
export interface Holding {
  readonly directory: Directory;
  readonly keeper: HoldKeeper;
  readonly moves: Moves;
  /** @throws DirectoryFailed */
  countMoves(): MoveCounts;
  /** Lets moves come to rest first. */
  closeMoves(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

export function startHolding(directory: Directory, parts: HoldingParts): Holding {
  const { deliveries, clock, say, running, logins, forgetUser, onReleased } = parts;
  const keeper = new HoldKeeper({
    directory,
    deliveries,
    options: () => running().config,
    clock,
    say,
    onReleased,
  });
  const keepMs = (): number | undefined => running().config.directory?.keepHistoryMs;
  const endKeeping = keepHistory({ directory, keepMs, clock, say });
  const moves = startMoves({ directory, keeper, running, logins, forgetUser, clock, say });
  if (directory.startedUnclean)
    say("warning", "the last daemon did not end in order: what it had sent may still arrive, so drains wait");
  return {
    directory,
    keeper,
    moves,
    countMoves: beginCountingMoves(moves, directory),
    closeMoves: (timeoutMs) => moves.close(timeoutMs),
    async close() {
      endKeeping();
      await keeper.close();
      await directory.close();
    },
  };
}

/** Mail of users whose entries name no backend is delayed, so somebody has to hear of it. */
export function missingBackends(
  { directory }: Holding,
  { backends, routing: { authority } }: Pick<Config, "backends" | "routing">,
): readonly string[] {
  let counts: ReadonlyMap<string, number>;
  try {
    counts = directory.users.countByBackend();
  } catch (error) {
    return [`whether entries of the directory name a missing backend is not known: ${String(error)}`];
  }
  const missing = [...counts]
    .filter(([name]) => !backends.has(name))
    .map(([name, users]) => describeMissing(name, users));
  if (authority === undefined || counts.size === 0) return missing;
  return [...missing, describeOverruled(authority, counts)];
}

function describeOverruled(authority: string, counts: ReadonlyMap<string, number>): string {
  const users = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return (
    `${users === 1 ? "1 entry" : `${users} entries`} of the directory overrule table ${authority}, which is to decide where ` +
    `users live (directory.write_through): make it say the same, then remove them (mailshunt user list, mailshunt user unset)`
  );
}

const describeMissing = (name: string, users: number): string =>
  `${users === 1 ? "1 user is" : `${users} users are`} in the directory with the backend "${name}", which there is not: their ` +
  `mail is deferred until it is there or until \`mailshunt user set\` names another (who: mailshunt user list --backend ${name})`;

/** What an operator has taken out and may have forgotten: a backend stays so over restarts. */
export function describeDisabled({ directory }: Holding): readonly string[] {
  return directory.backends.disabled().map(({ backend, sinceMs, who, why }) => {
    const by = `${new Date(sinceMs).toISOString()} by ${who}${why === "" ? "" : ` (${why})`}`;
    return `backend "${backend}" is disabled since ${by}: its users hear 4xx until \`mailshunt backend enable ${backend}\``;
  });
}

/** Entries in the directory. Undefined: there is none, or it cannot tell. */
export function countUsers(holding: Holding | undefined): number | undefined {
  try {
    const counts = holding?.directory.users.countByBackend();
    return counts && [...counts.values()].reduce((sum, users) => sum + users, 0);
  } catch {
    return undefined;
  }
}

/** For the metrics. Rejects when it cannot tell. */
export async function describeDirectory(
  holding: Holding | undefined,
  clock: Clock,
): Promise<DirectoryState | undefined> {
  if (holding === undefined) return undefined;
  const { directory } = holding;
  const { count, oldestSinceMs } = await countHolds(directory);
  const oldestHoldMs = oldestSinceMs === undefined ? 0 : Math.max(0, clock.wallMs() - oldestSinceMs);
  return { holds: count, oldestHoldMs, users: directory.users.countByBackend(), moves: holding.countMoves() };
}

/** Whether a user's logins must wait. Also when that cannot be told: a login that waits does no harm. */
export function isLockedIn(directory: DirectoryReader | undefined, user: string): boolean {
  if (directory === undefined) return false;
  try {
    const move = directory.moves.findActive(user);
    return move !== undefined && isLockedPhase(move.state);
  } catch {
    return true;
  }
}

export async function noteUncertain(
  holding: Holding | undefined,
  delivery: Parameters<HoldKeeper["onUncertain"]>[0],
): Promise<void> {
  await holding?.keeper.onUncertain(delivery);
}
