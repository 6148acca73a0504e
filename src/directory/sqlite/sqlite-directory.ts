import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import type {
  Author,
  Directory,
  DirectoryReader,
  Forgotten,
  ImportReport,
  MoveWrites,
  UserWrites,
} from "../directory.ts";
import { checkNames, MAX_MOVES_AT_ONCE } from "../names.ts";
import { closedFault } from "./fault.ts";
import { FIRST_STEP } from "./forget-writes.ts";
import type { ForgetResult, ForgetStep } from "./forget-writes.ts";
import type { Act } from "./history-writes.ts";
import { runImport } from "./import.ts";
import type { Writer } from "./writer.ts";

export interface DirectoryParts {
  readonly path: string;
  readonly clock: Clock;
  readonly reads: Omit<DirectoryReader, "close">;
  readonly writer: Writer;
  readonly startedUnclean: boolean;
  /** Marks it as closed, and lets go of it. */
  readonly close: () => void;
}

/** Between two batches of what is forgotten, in ms: the writer is free for five sixths of the time. */
const FORGET_PAUSE_MS = 25;

/** Checks what is asked for, makes its times whole numbers, and hands it to the writer; reads are this thread's own. */
export function createDirectory({ path, clock, reads, writer, startedUnclean, close }: DirectoryParts): Directory {
  const closing = new AbortController();
  let importing: Promise<ImportReport> | undefined;
  let forgetting: Promise<Forgotten> | undefined;
  let closed: Promise<void> | undefined;

  const write: Writer["write"] = (name, ...args) =>
    closing.signal.aborted ? Promise.reject(closedFault(path)) : writer.write(name, ...args);
  const act = ({ who, why }: Author): Act => ({ who, why, atMs: clock.wallMs() });

  const userWrites: UserWrites = {
    async set(user, backend, author) {
      checkNames({ user, backend });
      return write("setUser", user, backend, act(author));
    },
    async unset(user, author) {
      checkNames({ user });
      return write("unsetUser", user, act(author));
    },
    async import(entries, { signal, ...options }) {
      if (importing !== undefined) throw new Error("an import is under way: wait for its end");
      const signals = signal === undefined ? [closing.signal] : [closing.signal, signal];
      importing = runImport(entries, options, { path, writer, clock, signal: AbortSignal.any(signals) });
      try {
        return await importing;
      } finally {
        importing = undefined;
      }
    },
  };

  const moveWrites: MoveWrites = {
    async create(moves, author) {
      if (moves.length > MAX_MOVES_AT_ONCE) throw new RangeError(`at most ${MAX_MOVES_AT_ONCE} moves at once`);
      for (const { id, user, from, to } of moves) checkNames({ id, user, from, to });
      return write("createMoves", moves, act(author));
    },
    append: (moveId, step) => write("appendStep", moveId, step, clock.wallMs()),
    async switch(cutover, author) {
      if (cutover.backend !== undefined) checkNames({ backend: cutover.backend });
      return write("switchUser", cutover, act(author));
    },
  };

  async function forget(beforeMs: number): Promise<Forgotten> {
    let [changes, moves] = [0, 0];
    for (let step: ForgetStep | undefined = FIRST_STEP; step !== undefined;) {
      const result: ForgetResult = await write("forgetBatch", step, beforeMs);
      changes += result.changes;
      moves += result.moves;
      step = result.next;
      if (step === undefined) break;
      // Once it closes, the next write is refused.
      await delay(FORGET_PAUSE_MS, undefined, { ref: false, signal: closing.signal }).catch(() => {});
    }
    return { changes, moves };
  }

  async function end(): Promise<void> {
    closing.abort(closedFault(path));
    await importing?.catch(() => {});
    await forgetting?.catch(() => {});
    await writer.close();
    close();
  }

  return {
    ...reads,
    startedUnclean,
    users: { ...reads.users, ...userWrites },
    holds: {
      ...reads.holds,
      async place(hold, author) {
        checkNames({ user: hold.user, owner: hold.owner });
        return write("placeHold", { ...hold, deadlineMs: Math.ceil(hold.deadlineMs) }, act(author));
      },
      release: (release, author) => write("releaseHold", release, act(author)),
    },
    uncertain: {
      ...reads.uncertain,
      async add(delivery) {
        checkNames({ user: delivery.user, backend: delivery.backend });
        return write("addUncertain", { ...delivery, atMs: Math.ceil(delivery.atMs) });
      },
      addEveryone: (atMs, why) => write("addEveryone", Math.ceil(atMs), why),
      forget: (beforeMs) => write("forgetUncertain", beforeMs),
    },
    moves: { ...reads.moves, ...moveWrites },
    backends: {
      ...reads.backends,
      async setDisabled(backend, isDisabled, author) {
        checkNames({ backend });
        return write("setBackendDisabled", backend, isDisabled, act(author));
      },
    },
    async forget(beforeMs) {
      if (forgetting !== undefined) throw new Error("forgetting is under way: wait for its end");
      forgetting = forget(Math.floor(beforeMs));
      try {
        return await forgetting;
      } finally {
        forgetting = undefined;
      }
    },
    close: () => (closed ??= end()),
  };
}
