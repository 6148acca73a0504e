import type { AwaitedDelivery } from "../moves/hold-keeper.ts";
import type { MetricsJson } from "../observe/metrics.ts";
import type { BackendStatus, DeliveryStatus } from "../observe/status.ts";

/** Of each quota, how many a worker may use: see `Shares`. */
export type LeaseCounts = readonly (readonly [key: string, count: number])[];

/** A listener that the primary has bound. */
export interface GivenListener {
  /** As configured. */
  readonly address: string;
  /** Open in the worker from its start. */
  readonly fds: readonly number[];
}

export interface WorkerStart {
  /** How many share what has no quota. */
  readonly workerCount: number;
  readonly version: string;
  readonly isBackground: boolean;
  readonly loopToken: string;
  readonly path: string;
  readonly contents: Uint8Array;
  readonly listeners: readonly GivenListener[];
  readonly disabledBackends: readonly string[];
  readonly leases: LeaseCounts;
}

/** What one process knows of itself. */
export interface WorkerReport {
  /** Clients, by listener's address as configured. */
  readonly connections: readonly (readonly [address: string, count: number])[];
  readonly deliveriesUnderWay: number;
  readonly parked: number;
  /** The oldest. */
  readonly deliveries: readonly DeliveryStatus[];
  readonly backends: readonly BackendStatus[];
  readonly metrics: MetricsJson;
}

/** A delivery under way; another process's clock is not ours. */
export type LeftDelivery = Omit<AwaitedDelivery, "sinceMs"> & { readonly ageMs: number };

export interface WorkerDrain {
  readonly found: number;
  readonly cut: number;
  readonly left: readonly LeftDelivery[];
}

/** What is asked of a worker, and what it answers. */
export interface WorkerQuestions {
  /** Gets ready with these contents of the configuration file. Reasons: why it cannot. */
  readonly prepare: {
    asked: { readonly contents: Uint8Array; readonly leases: LeaseCounts };
    answer: { readonly reasons: readonly string[] };
  };
  /** Puts that in effect; answered when no delivery goes by an older configuration. */
  readonly commit: { asked: object; answer: object };
  readonly drain: {
    asked: { readonly user: string; readonly graceMs: number; readonly timeoutMs: number };
    answer: WorkerDrain;
  };
  readonly report: { asked: { readonly maxDeliveries: number }; answer: WorkerReport };
  /** Whether it still runs. */
  readonly ping: { asked: object; answer: object };
  /** Drops what it knows of these keys of a table. */
  readonly forget: { asked: { readonly table: string; readonly keys: readonly string[] }; answer: object };
  /** When a login of the user was last let through, on the wall clock in ms. */
  readonly "last-login": { asked: { readonly user: string }; answer: { readonly atMs: number } };
}

export type QuestionKind = keyof WorkerQuestions;
export type Asked<Kind extends QuestionKind> = WorkerQuestions[Kind]["asked"];
export type Answered<Kind extends QuestionKind> = WorkerQuestions[Kind]["answer"];

type Question = {
  [Kind in QuestionKind]: { readonly kind: Kind; readonly request: number } & Asked<Kind>;
}[QuestionKind];

/** From the primary to a worker. */
export type ToWorker =
  /** The first. */
  | ({ readonly kind: "start" } & WorkerStart)
  | Question
  /** Serve clients. */
  | { readonly kind: "open" }
  /** What was prepared is dropped. */
  | { readonly kind: "abort" }
  /** Accept no more, and end with the last client. */
  | { readonly kind: "retire" }
  | { readonly kind: "stop"; readonly limitMs: number }
  /** The user's last hold is gone. */
  | { readonly kind: "released"; readonly user: string }
  | { readonly kind: "backend"; readonly name: string; readonly isDisabled: boolean }
  /** It has been rotated. */
  | { readonly kind: "reopen-log" }
  /** Empty every cache. */
  | { readonly kind: "flush" }
  /** An uncertain delivery is written down, or what was written to a table is known to all. */
  | { readonly kind: "noted"; readonly request: number }
  /** So many more of this quota. */
  | { readonly kind: "granted"; readonly key: string; readonly count: number }
  | { readonly kind: "denied"; readonly key: string }
  /** Another worker waits for one of this quota. */
  | { readonly kind: "claim"; readonly key: string }
  /** No other worker waits for one of this quota any more. */
  | { readonly kind: "even"; readonly key: string };

export type LeaseMessage = Extract<ToWorker, { readonly kind: "granted" | "denied" | "claim" | "even" }>;

/** From a worker to the primary. */
export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly reasons: readonly string[] }
  | { readonly kind: "answer"; readonly request: number; readonly answer: Answered<QuestionKind> }
  | { readonly kind: "uncertain"; readonly request: number; readonly delivery: LeftDelivery }
  | { readonly kind: "written"; readonly request: number; readonly table: string; readonly keys: readonly string[] }
  | { readonly kind: "want"; readonly key: string; readonly isPatient: boolean }
  /** So many of this quota are given back, as was claimed or owed. */
  | { readonly kind: "given"; readonly key: string; readonly count: number }
  /** A claim cannot be met now. Of a patient quota it will be. */
  | { readonly kind: "kept"; readonly key: string };
