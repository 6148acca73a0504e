import type { BackendTimeouts } from "../backends/options.ts";
import type { BackendSession } from "../backends/session.ts";
import type { Recipient } from "./recipient.ts";

/** What a command of a transaction is, so that its reply can be told from the others; a recipient stands for its RCPT. */
export type Expected = "XFORWARD" | "MAIL" | "DATA" | Recipient;

/** The commands sent on one store session whose replies are due, each with its deadline. Replies come in their order. */
export class CommandPipeline {
  readonly #session: BackendSession;
  readonly #timeouts: BackendTimeouts;
  readonly #expected: Expected[] = [];
  #next = 0;

  constructor(session: BackendSession, timeouts: BackendTimeouts) {
    this.#session = session;
    this.#timeouts = timeouts;
  }

  /** No reply is due. */
  get isDrained(): boolean {
    return this.#next === this.#expected.length;
  }

  send(expected: Expected, line: string): void {
    this.#expected.push(expected);
    this.#session.send(line);
    if (this.#next === this.#expected.length - 1) this.#expect(expected);
  }

  /** A reply has come: what it answers, or undefined where nothing was asked. */
  take(): Expected | undefined {
    const expected = this.#expected[this.#next];
    if (expected === undefined) return undefined;
    this.#next += 1;
    const following = this.#expected[this.#next];
    if (following === undefined) this.#session.settle();
    else this.#expect(following);
    return expected;
  }

  #expect(expected: Expected): void {
    const { commandMs, dataMs } = this.#timeouts;
    this.#session.expect(typeof expected === "string" ? expected : "RCPT", expected === "DATA" ? dataMs : commandMs);
  }
}
