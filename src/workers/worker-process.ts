import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../core/clock.ts";
import type {
  Answered,
  Asked,
  FromWorker,
  GivenListener,
  LeaseMessage,
  QuestionKind,
  ToWorker,
  WorkerStart,
} from "./messages.ts";
import type { Leaseholder } from "./shares.ts";

export interface WorkerProcessParts {
  /** Its entry. */
  readonly file: string;
  /** Its argument: the name it goes by. */
  readonly program: string;
  /** Bound here. */
  readonly listeners: readonly GivenListener[];
  readonly isBackground: boolean;
  readonly clock: Clock;
  readonly onMessage: (message: Exclude<FromWorker, { kind: "ready" | "refused" | "answer" }>) => void;
  /** Once, when nothing of it is left. @param how such as `code 70` or `SIGKILL` */
  readonly onEnded: (how: string) => void;
}

/** A worker cannot serve by a configuration. */
export class WorkerRefused extends Error {
  override readonly name = "WorkerRefused";
  readonly code = "WORKER_REFUSED";

  constructor(reasons: readonly string[]) {
    super(reasons.join("; "));
  }
}

/** Descriptors of a child before those of listeners: stdin, stdout, stderr and the channel of messages. */
const FIRST_LISTENER_FD = 4;

/** To read the configuration takes 60 s at most, and its tables are read after it. */
const START_TIMEOUT_MS = 180_000;

/** A child process that serves clients, as the primary sees it. */
export class WorkerProcess implements Leaseholder {
  /** `leaving`: it was told to end. */
  state: "launching" | "serving" | "leaving" = "launching";
  readonly startedMs: number;
  /** Resolves once it can serve. Rejects with WorkerRefused. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #listeners: readonly GivenListener[];
  readonly #onReady = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, (answer: Answered<QuestionKind>) => void>();
  #requests = 0;

  constructor({ file, program, listeners, isBackground, clock, onMessage, onEnded }: WorkerProcessParts) {
    this.startedMs = clock.nowMs();
    // In the background nobody reads them, and the pipe to the command that started us must close.
    const output = isBackground ? "ignore" : "inherit";
    this.#child = fork(file, [program], {
      stdio: ["ignore", output, output, "ipc", ...listeners.flatMap(({ fds }) => fds)],
      serialization: "advanced",
    });
    let nextFd = FIRST_LISTENER_FD;
    this.#listeners = listeners.map(({ address, fds }) => ({ address, fds: fds.map(() => nextFd++) }));
    this.ready = this.#onReady.promise;
    this.ready.catch(() => undefined);
    const timer = clock.after(START_TIMEOUT_MS, () => this.kill());
    this.#child.on("message", (message: FromWorker) => {
      switch (message.kind) {
        case "ready":
          timer.cancel();
          return this.#onReady.resolve();
        case "refused":
          return this.#onReady.reject(new WorkerRefused(message.reasons));
        case "answer":
          this.#waiting.get(message.request)?.(message.answer);
          return void this.#waiting.delete(message.request);
        case "uncertain":
        case "written":
        case "want":
        case "given":
        case "kept":
          return onMessage(message);
      }
    });
    let hasEnded = false;
    const end = (how: string): void => {
      if (hasEnded) return;
      hasEnded = true;
      timer.cancel();
      this.#onReady.reject(new WorkerRefused([`a worker ended before it could serve: ${how}`]));
      onEnded(how);
    };
    this.#child.on("error", (error) => {
      // Also for a message that could not be sent: then `exit` follows.
      if (this.#child.pid === undefined) end(error.message);
    });
    this.#child.on("exit", (code, signal) => end(signal ?? `code ${code ?? "?"}`));
  }

  /** 0 where it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** To be called once, before anything else. */
  start(start: Omit<WorkerStart, "listeners">): void {
    this.tell({ ...start, kind: "start", listeners: this.#listeners });
  }

  tell(message: ToWorker): void {
    // That it has ended is seen by `exit`.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Never resolves where the worker ends. */
  ask<Kind extends QuestionKind>(kind: Kind, asked: Asked<Kind>): Promise<Answered<Kind>> {
    this.#requests += 1;
    const request = this.#requests;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      this.tell({ ...asked, kind, request } as unknown as ToWorker);
    });
  }

  noted(request: number): void {
    this.tell({ kind: "noted", request });
  }

  lease(message: LeaseMessage): void {
    this.tell(message);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
