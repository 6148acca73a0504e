import type { LogTarget } from "./log-target.ts";

/**
 * Bytes kept for a reader that is slow or gone: about 10,000 lines. Past it lines are dropped and counted, since a
 * mail system that waits for its log is worse than a log with a hole that says how big it is.
 */
export const MAX_PENDING_BYTES = 2 * 1024 * 1024;

/**
 * Lines on their way to a target: all lines of one turn of the event loop leave in one write.
 * Holds them until there is a target.
 */
export class LineQueue {
  readonly #maxPendingBytes: number;
  /** Makes the line that says how many were lost. */
  readonly #lossLine: (lineCount: number) => string;
  #target: LogTarget | undefined;
  #lines: string[] = [];
  #linesBytes = 0;
  /** What is being sent, and what a target did not take yet. */
  #rest: Buffer = Buffer.alloc(0);
  #isSending = false;
  #lost = 0;
  #flushPlanned = false;
  #idle: (() => void)[] = [];
  #released: (() => void)[] = [];

  constructor(lossLine: (lineCount: number) => string, maxPendingBytes: number = MAX_PENDING_BYTES) {
    this.#lossLine = lossLine;
    this.#maxPendingBytes = maxPendingBytes;
  }

  push(line: string): void {
    // UTF-16 units stand for bytes here: exact for all but a few lines, and the bound needs no more.
    if (this.#linesBytes + this.#rest.length + line.length > this.#maxPendingBytes) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#linesBytes += line.length;
    if (this.#flushPlanned || this.#target === undefined) return;
    this.#flushPlanned = true;
    setImmediate(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  /** Lines already being sent finish where they were going; then `onReleased`, and all others go to the new target. */
  setTarget(target: LogTarget, onReleased: () => void): void {
    this.#target = target;
    if (this.#isSending) return void this.#released.push(onReleased);
    onReleased();
    this.#flush();
  }

  /** Resolves when nothing waits any more, or after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#flush();
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      const timeout = setTimeout(resolve, limitMs);
      this.#idle.push(() => {
        clearTimeout(timeout);
        resolve();
      });
    });
  }

  /** Writes what it can in this very turn, for the last moments of a process. */
  flushNow(): void {
    if (this.#target === undefined || this.#isSending) return;
    this.#collect();
    const sent = this.#target.sendNow(this.#rest);
    this.#rest = this.#rest.subarray(sent);
  }

  #isIdle(): boolean {
    return !this.#isSending && this.#rest.length === 0 && this.#lines.length === 0;
  }

  /** Joins the waiting lines into `#rest`. */
  #collect(): void {
    if (this.#lost > 0) {
      this.#lines.push(this.#lossLine(this.#lost));
      this.#lost = 0;
    }
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(""));
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#lines = [];
    this.#linesBytes = 0;
  }

  #flush(): void {
    const target = this.#target;
    if (target === undefined || this.#isSending) return;
    if (this.#rest.length === 0) this.#collect();
    if (this.#rest.length === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    this.#isSending = true;
    target.send(this.#rest, (byteCount) => {
      this.#rest = this.#rest.subarray(byteCount);
      this.#isSending = false;
      for (const release of this.#released.splice(0)) release();
      this.#flush();
    });
  }
}
