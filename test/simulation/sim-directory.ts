import type { Clock } from "../../src/core/clock.ts";
import { DirectoryFailed } from "../../src/directory/directory-failed.ts";
import type { Directory, Hold, JournalEntry, Move, MoveStep, Uncertain } from "../../src/directory/directory.ts";
import { ownerOfMove } from "../../src/directory/names.ts";

/** What is on the disk, and outlives every process. */
export class SimDisk {
  readonly users = new Map<string, string>();
  readonly holds: Hold[] = [];
  readonly uncertain: Uncertain[] = [];
  readonly moves: Move[] = [];
  readonly journals = new Map<string, JournalEntry[]>();
  generation = 0;
}

export interface SimFaults {
  /** How long a commit takes, in ms. */
  readonly commitMs: () => number;
  /** Killed: the process, with the write just done or not. */
  readonly commit: () => "done" | "failed" | "unknown-done" | "unknown-failed" | "killed-before" | "killed-after";
  readonly isDead: () => boolean;
  readonly onSwitch: (user: string) => void;
  /** In the commit with which a move ends. */
  readonly onEnd: (move: Move) => void;
}

/** A directory as one process has it: writes take time, fail, and may be lost or not when the process is killed. */
export function openSimDirectory(disk: SimDisk, clock: Clock, faults: SimFaults, startedUnclean: boolean): Directory {
  let queue: Promise<unknown> = Promise.resolve();

  function write<Result>(apply: () => Result): Promise<Result> {
    const written = queue.then(async () => {
      await new Promise<void>((resolve) => void clock.after(faults.commitMs(), resolve));
      if (faults.isDead()) return new Promise<never>(() => undefined);
      const outcome = faults.commit();
      if (outcome === "failed") throw new DirectoryFailed("DIRECTORY_FULL", "simulated");
      if (outcome === "unknown-failed") throw new DirectoryFailed("DIRECTORY_OUTCOME_UNKNOWN", "simulated");
      if (outcome === "killed-before") return new Promise<never>(() => undefined);
      const result = apply();
      if (outcome === "killed-after") return new Promise<never>(() => undefined);
      if (outcome === "unknown-done") throw new DirectoryFailed("DIRECTORY_OUTCOME_UNKNOWN", "simulated");
      return result;
    });
    queue = written.catch(() => undefined);
    return written;
  }

  const findMove = (moveId: string): Move | undefined => disk.moves.find(({ id }) => id === moveId);
  const findActive = (user: string): Move | undefined => disk.moves.find((move) => move.user === user && move.isActive);
  const refusal = (user: string, who: string): { kind: "move-active"; user: string; moveId: string } | undefined => {
    const move = findActive(user);
    return move === undefined || who === ownerOfMove(move.id)
      ? undefined
      : { kind: "move-active", user, moveId: move.id };
  };

  function append(moveId: string, step: MoveStep): number {
    const at = disk.moves.findIndex(({ id }) => id === moveId);
    const move = disk.moves[at];
    if (move === undefined) throw new RangeError(`no move ${moveId}`);
    const journal = disk.journals.get(moveId) ?? [];
    disk.journals.set(moveId, journal);
    for (const entryJson of [...(step.earlierJson ?? []), step.entryJson])
      journal.push({ position: journal.length + 1, atMs: clock.wallMs(), entryJson });
    disk.moves[at] = { ...move, state: step.state, isActive: step.isActive, changedMs: clock.wallMs() };
    if (!step.isActive) faults.onEnd({ ...move, state: step.state });
    return journal.length;
  }

  const unused = (): never => {
    throw new Error("not simulated");
  };

  return {
    startedUnclean,
    find: (user) => ({ backend: disk.users.get(user), holds: disk.holds.filter((hold) => hold.user === user) }),
    findBackend: (user) => disk.users.get(user),
    findHolds: (user) => disk.holds.filter((hold) => hold.user === user),
    history: () => [],
    close: () => Promise.resolve(),
    forget: unused,
    backends: { disabled: unused, setDisabled: unused },
    users: {
      list: unused,
      all: unused,
      countByBackend: unused,
      import: unused,
      set: unused,
      unset: (user, { who }) =>
        write(() => {
          const from = disk.users.get(user);
          const refused = refusal(user, who);
          if (refused !== undefined) return refused;
          disk.users.delete(user);
          return from === undefined ? { kind: "unchanged" as const } : { kind: "unset" as const, from };
        }),
    },
    holds: {
      list: () => disk.holds,
      expired: (nowMs) => disk.holds.filter(({ deadlineMs }) => deadlineMs <= nowMs),
      place: (hold) =>
        write(() => {
          removeHold(disk, hold.user, hold.owner);
          const placed = { ...hold, generation: (disk.generation += 1), sinceMs: clock.wallMs() };
          disk.holds.push(placed);
          return placed;
        }),
      release: ({ user, owner, generation }, { who }) =>
        write(() => {
          const found = disk.holds.find((hold) => hold.user === user && hold.owner === owner);
          if (found === undefined || (generation !== undefined && generation !== found.generation))
            return { kind: "not-held" as const, found };
          const refused = owner.startsWith("move:") ? refusal(user, who) : undefined;
          if (refused !== undefined) return refused;
          removeHold(disk, user, owner);
          return { kind: "released" as const, hold: found, isStillHeld: disk.holds.some((hold) => hold.user === user) };
        }),
    },
    uncertain: {
      latest: (user) =>
        disk.uncertain.filter((one) => one.kind === "everyone" || one.user === user).sort((a, b) => b.atMs - a.atMs)[0],
      add: (delivery) => write(() => void disk.uncertain.push({ kind: "delivery", ...delivery })),
      addEveryone: (atMs, why) => write(() => void disk.uncertain.push({ kind: "everyone", atMs, why })),
      forget: () => Promise.resolve(0),
    },
    moves: {
      find: findMove,
      findActive,
      findSwitched: unused,
      countActive: unused,
      list: ({ isActive, afterNumber = 0, states } = {}) =>
        disk.moves.filter(
          (move) =>
            move.number > afterNumber &&
            (isActive === undefined || move.isActive === isActive) &&
            (states === undefined || states.includes(move.state)),
        ),
      journal: (moveId) => disk.journals.get(moveId) ?? [],
      create: (moves) =>
        write(() => {
          const created: Move[] = [];
          const refused = [];
          for (const { entryJson = "", ...move } of moves) {
            const active = findActive(move.user);
            if (active !== undefined) {
              refused.push({ kind: "move-active" as const, user: move.user, moveId: active.id });
              continue;
            }
            const atMs = clock.wallMs();
            const kept = { ...move, number: disk.moves.length + 1, isActive: true, createdMs: atMs, changedMs: atMs };
            disk.moves.push(kept);
            append(move.id, { entryJson, state: move.state, isActive: true });
            created.push(kept);
          }
          return { created, refused };
        }),
      append: (moveId, step) =>
        write(() => {
          const move = findMove(moveId);
          const other = move !== undefined && !move.isActive && step.isActive ? findActive(move.user) : undefined;
          if (other !== undefined) return { kind: "move-active" as const, user: other.user, moveId: other.id };
          return { kind: "appended" as const, position: append(moveId, step) };
        }),
      switch: ({ moveId, backend, generation, nowMs, step }) =>
        write(() => {
          const move = findMove(moveId);
          if (move === undefined || !move.isActive) throw new RangeError(`no active move ${moveId}`);
          const owner = ownerOfMove(moveId);
          const found = disk.holds.find((hold) => hold.user === move.user && hold.owner === owner);
          const changed = (why: "gone" | "replaced" | "expired") => ({ kind: "hold-changed" as const, why, found });
          if (found === undefined) return changed("gone");
          if (found.generation !== generation) return changed("replaced");
          if (found.deadlineMs <= nowMs) return changed("expired");
          const from = disk.users.get(move.user);
          if (backend === undefined) disk.users.delete(move.user);
          else disk.users.set(move.user, backend);
          faults.onSwitch(move.user);
          return { kind: "switched" as const, from, position: append(moveId, step) };
        }),
    },
  };
}

function removeHold(disk: SimDisk, user: string, owner: string): void {
  const at = disk.holds.findIndex((hold) => hold.user === user && hold.owner === owner);
  if (at !== -1) disk.holds.splice(at, 1);
}
