import type { Clock, Timer } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Directory } from "./directory.ts";
import { DirectoryFailed } from "./directory-failed.ts";

/** Not while the mail that came during a restart is still arriving, in ms. */
const FIRST_AFTER_MS = 600_000;
const AGAIN_AFTER_MS = 86_400_000;

export interface KeepHistoryParts {
  readonly directory: Pick<Directory, "forget">;
  /** How long it is kept; undefined: for ever. Read each time, so that a reload counts. */
  readonly keepMs: () => number | undefined;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
}

/** Forgets once a day what is too old. @returns ends it; what is under way ends with the directory */
export function keepHistory({ directory, keepMs, clock, say }: KeepHistoryParts): () => void {
  let timer: Timer;
  let isOver = false;
  const next = (afterMs: number): void => {
    timer = clock.after(afterMs, () => void forget());
  };
  async function forget(): Promise<void> {
    const ms = keepMs();
    try {
      const { changes, moves } = ms === undefined ? NOTHING : await directory.forget(clock.wallMs() - ms);
      if (changes + moves > 0) say("info", `forgot ${changes} changes and ${moves} moves: directory.keep_history`);
    } catch (error) {
      if (error instanceof DirectoryFailed && error.code === "DIRECTORY_CLOSED") return;
      say("warning", `old changes and moves are not forgotten, which is tried again in a day: ${String(error)}`);
    }
    if (!isOver) next(AGAIN_AFTER_MS);
  }
  next(FIRST_AFTER_MS);
  return () => {
    isOver = true;
    timer.cancel();
  };
}

const NOTHING = { changes: 0, moves: 0 };
