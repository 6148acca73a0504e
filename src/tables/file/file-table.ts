import { stat } from "node:fs/promises";
import type { Clock, Timer } from "../../core/clock.ts";
import { required, withDefault } from "../../core/option-schema.ts";
import { choice, scalar } from "../../core/option-values.ts";
import { describeReadError } from "../../core/read-error.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { openPackedSource } from "../packed-source.ts";
import type { Source, SourceContext } from "../source.ts";
import { TableFailure } from "../table.ts";
import type { Answer, TableEntry } from "../table.ts";
import { defineType } from "../table-type.ts";
import { loadFile } from "./file-load.ts";
import type { Loading } from "./file-load.ts";
import { FILE_FORMATS, identityOf } from "./file-read.ts";
import type { FileFormat, ReadReply, Remark } from "./file-read.ts";

export interface FileTableOptions {
  readonly path: string;
  readonly format: FileFormat;
  /** Keys are lower-cased, those of the file and those asked for. */
  readonly foldsKeys: boolean;
}

function parsePath(given: string): Parsed<string> {
  if (given.startsWith("/")) return ok(given);
  const path = /^[a-z]+:(?<path>\/.*)$/.exec(given)?.groups?.["path"];
  return bad(
    path === undefined
      ? `expected an absolute path, got "${given}"`
      : `expected the path alone, "${path}", got "${given}" (mailshunt reads the text itself, not what postmap makes of it)`,
  );
}

/** Found by exactly the key that stands there; the whole file at one moment, never half of it. */
export const FILE = defineType({
  description:
    "Entries in a file, read again when it changes. A file that cannot be read, or has a mistake, changes nothing: what was read before " +
    "counts, and the log says why. Put a new file in place with `mv`, for a file that is written in place may be read half-written.",
  kind: "memory",
  outlivesReload: true,
  entries: {
    path: required(scalar("an absolute path", parsePath), {
      description: "The file. The user that mailshunt runs as must be able to read it.",
      example: "/etc/postfix/virtual",
    }),
    format: withDefault(choice(FILE_FORMATS), "auto", {
      description:
        "`postfix` is the text that postmap reads: `key value` lines. `yaml` and `json` are one mapping of key to value; " +
        "a JSON value that is no string stands for its JSON text. `auto` goes by the name: `.yaml`, `.yml`, `.json`, else `postfix`. " +
        "Of two entries with one key the log tells; in `postfix` the first counts, as in postmap, else the last.",
    }),
    case: withDefault(choice(["exact", "fold"]), "exact", {
      description:
        "With `fold` upper and lower case are the same, in the file and in what is asked, as in postmap's hash: tables.",
    }),
  },
  toOptions: (section): FileTableOptions => ({
    path: section.path,
    format: section.format,
    foldsKeys: section.case === "fold",
  }),
  open: (options, context) => new FileSource(options, context),
});

/** Between two looks at a file, in ms. */
const LOOK_EVERY_MS = 1_000;
/** A file is read when nothing has happened to it for so long, in ms: who writes in place may be about to go on. */
const QUIET_MS = 1_000;
/** A file that is never quiet for so long, in ms, is told. */
const RESTLESS_MS = 60_000;
/** Lookups wait so long for the first reading, in ms, as for any other table. */
const FIRST_WAIT_MS = 5_000;
/** Near the longest text that Node.js can hold. */
const MAX_FILE_BYTES = 500_000_000;

class FileSource implements Source {
  readonly #options: FileTableOptions;
  readonly #clock: Clock;
  readonly #say: SourceContext["say"];
  #content: Source | undefined;
  /** Why there is no content yet. */
  #fault = "it is still being read";
  /** The last reading failed. */
  #isBad = false;
  /** What the last look saw: see `#identify`. */
  #seen: string | undefined;
  /** What was read last, or could not be. */
  #tried: string | undefined;
  #restlessSinceMs: number | undefined;
  #timer: Timer | undefined;
  #loading: Loading | undefined;
  #isClosed = false;
  /** Resolves when lookups need not wait any longer. */
  readonly #first = Promise.withResolvers<void>();
  #isFirstOver = false;
  /** Keeps the process alive while somebody waits, which the clock's timers do not. */
  #keepAlive: NodeJS.Timeout | undefined;
  readonly #firstTimer: Timer;

  constructor(options: FileTableOptions, { clock, say }: SourceContext) {
    this.#options = options;
    this.#clock = clock;
    this.#say = say;
    this.#firstTimer = clock.after(FIRST_WAIT_MS, () => this.#endFirst());
    void this.#look();
  }

  lookup(key: string, signal: AbortSignal): Answer | Promise<Answer> {
    if (this.#content === undefined && !this.#isFirstOver)
      return this.#waitForFirst().then(() => this.lookup(key, signal));
    return this.#content === undefined
      ? { kind: "failed", reason: this.#describeFault(), scope: "source" }
      : this.#content.lookup(this.#fold(key), signal);
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly TableEntry[]> {
    if (this.#content === undefined && !this.#isFirstOver) await this.#waitForFirst();
    if (this.#content?.list === undefined) throw new TableFailure(this.#describeFault());
    yield* this.#content.list(this.#fold(prefix), signal);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#loading?.stop();
    this.#endFirst();
  }

  #fold(key: string): string {
    return this.#options.foldsKeys ? key.toLowerCase() : key;
  }

  #describeFault(): string {
    return `${this.#options.path}: ${this.#fault}`;
  }

  #waitForFirst(): Promise<void> {
    this.#keepAlive ??= setInterval(() => undefined, FIRST_WAIT_MS);
    return this.#first.promise;
  }

  #endFirst(): void {
    clearInterval(this.#keepAlive);
    this.#isFirstOver = true;
    this.#firstTimer.cancel();
    this.#first.resolve();
  }

  async #look(): Promise<void> {
    const { identity, changedMs } = await this.#identify();
    if (this.#isClosed) return;
    let nextMs = LOOK_EVERY_MS;
    if (identity === this.#tried) this.#restlessSinceMs = undefined;
    else {
      const leftMs =
        this.#seen === undefined ? QUIET_MS - this.#ageMs(changedMs) : this.#seen === identity ? 0 : QUIET_MS;
      if (leftMs <= 0) await this.#read(identity);
      else {
        nextMs = leftMs;
        this.#noteRestless();
      }
    }
    this.#seen = identity;
    if (!this.#isClosed) this.#timer = this.#clock.after(nextMs, () => void this.#look());
  }

  /** What is at the path: the file's identity, or the reason why there is none. */
  async #identify(): Promise<{ readonly identity: string; readonly changedMs?: number }> {
    try {
      const stats = await stat(this.#options.path, { bigint: true });
      return { identity: identityOf(stats), changedMs: Number(stats.ctimeMs) };
    } catch (error) {
      return { identity: describeReadError(error) };
    }
  }

  /** A change in the future, by a clock that is not ours, says nothing. */
  #ageMs(changedMs: number | undefined): number {
    const ageMs = changedMs === undefined ? QUIET_MS : this.#clock.wallMs() - changedMs;
    return ageMs < 0 ? QUIET_MS : ageMs;
  }

  #noteRestless(): void {
    const nowMs = this.#clock.nowMs();
    this.#restlessSinceMs ??= nowMs;
    if (nowMs - this.#restlessSinceMs < RESTLESS_MS) return;
    this.#say("warning", `${this.#options.path} changes all the time: it is read when it is left alone for a second`);
    this.#restlessSinceMs = Number.POSITIVE_INFINITY;
  }

  async #read(identity: string): Promise<void> {
    const { path, format, foldsKeys } = this.#options;
    this.#loading = loadFile({ path, format, foldsKeys, maxBytes: MAX_FILE_BYTES }, this.#clock);
    const reply = await this.#loading.reply;
    this.#loading = undefined;
    if (reply === undefined || this.#isClosed) return;
    this.#take(reply, identity);
  }

  #take(reply: ReadReply, identity: string): void {
    switch (reply.kind) {
      case "changing":
        return;
      case "read": {
        this.#tried = reply.identity;
        this.#content = openPackedSource(reply.packed);
        const what = this.#isBad ? "is good again" : "was read";
        this.#say(
          this.#isBad ? "notice" : "info",
          `${this.#options.path} ${what}: ${this.#content.entryCount} entries`,
        );
        this.#isBad = false;
        this.#sayRemarks("warning", reply.warnings, reply.warningCount, "");
        break;
      }
      case "bad": {
        this.#tried = identity;
        this.#isBad = true;
        const [first] = reply.faults;
        this.#fault = first === undefined ? "" : `${lineOf(first)}${first.text}`;
        const effect =
          this.#content === undefined ? "lookups fail until it can be read" : "what was read before counts";
        this.#sayRemarks("error", reply.faults, reply.faultCount, `; ${effect}`);
        break;
      }
    }
    this.#endFirst();
  }

  #sayRemarks(level: "error" | "warning", remarks: readonly Remark[], count: number, effect: string): void {
    for (const remark of remarks) {
      const where = remark.line === 0 ? this.#options.path : `${this.#options.path}:${remark.line}`;
      this.#say(level, `${where}: ${remark.text}${effect}`);
    }
    if (count > remarks.length) this.#say(level, `${this.#options.path}: and ${count - remarks.length} more${effect}`);
  }
}

const lineOf = ({ line }: Remark): string => (line === 0 ? "" : `line ${line}: `);
