import type { GeneratorTraffic } from "../mail/sources.ts";

/** What is measured at one place of a curve. */
export interface Step {
  readonly x: number;
  readonly traffic: Omit<GeneratorTraffic, "seconds">;
  readonly backends: number;
  /** Of the directory; undefined where there is none. */
  readonly directoryUsers?: number;
  readonly workers?: number;
}

export type AxisName = "sessions" | "recipients" | "backends" | "directory" | "workers" | "size";

/** A curve: one thing grows, and all else stays. */
export interface Axis {
  readonly name: AxisName;
  readonly title: string;
  readonly xLabel: string;
  /** What is counted: messages, recipients or bytes. */
  readonly unit: "messages" | "recipients" | "bytes";
  /** Whether HAProxy is measured beside it: then what bends both curves is the machine. */
  readonly hasHaproxy: boolean;
  readonly steps: readonly Step[];
}

const usual = {
  sessions: 10,
  messageBytes: 4_096,
  recipients: 1,
  keepsConnection: true,
  isPipelined: true,
  users: 10,
};
/** Of the messages that go to many backends: one for each. */
const BACKENDS = [1, 2, 4, 8, 16, 32, 64];

const sessions: Axis = {
  name: "sessions",
  title: "Sessions",
  xLabel: "sessions that send at once (4 KB, pipelined, connections reused)",
  unit: "messages",
  hasHaproxy: true,
  steps: [1, 3, 10, 30, 100, 300, 1_000].map((x) => ({ x, backends: 1, traffic: { ...usual, sessions: x } })),
};

const recipients: Axis = {
  name: "recipients",
  title: "Recipients",
  xLabel: "recipients of each message (4 KB, 10 sessions, pipelined, reused)",
  unit: "recipients",
  // It reads none of them.
  hasHaproxy: false,
  steps: [1, 3, 10, 30, 100, 300, 1_000].map((x) => ({
    x,
    backends: 1,
    traffic: { ...usual, recipients: x, users: x },
  })),
};

const backends: Axis = {
  name: "backends",
  title: "Backends",
  xLabel: "backends over which the 64 recipients of each message are spread (4 KB, 10 sessions, pipelined, reused)",
  unit: "recipients",
  hasHaproxy: false,
  steps: BACKENDS.map((x) => ({ x, backends: x, traffic: { ...usual, recipients: 64, users: 64 } })),
};

const directory = (most: number): Axis => ({
  name: "directory",
  title: "Users in the directory",
  xLabel: "users in the directory, asked for in no order (4 KB, 10 sessions, pipelined, reused)",
  unit: "messages",
  hasHaproxy: false,
  steps: [10, 1_000, 100_000, 1_000_000, 10_000_000]
    .filter((x) => x <= most)
    .map((x) => ({ x, backends: 1, directoryUsers: x, traffic: { ...usual, users: x } })),
});

const workers = (most: number): Axis => ({
  name: "workers",
  title: "Workers",
  xLabel: "worker processes (4 KB, 50 sessions, pipelined, reused)",
  unit: "messages",
  hasHaproxy: false,
  steps: Array.from({ length: most }, (_, at) => ({
    x: at + 1,
    backends: 1,
    workers: at + 1,
    traffic: { ...usual, sessions: 50 },
  })),
});

const size: Axis = {
  name: "size",
  title: "Size of messages",
  xLabel: "size of each message (4 sessions, reused)",
  unit: "bytes",
  hasHaproxy: true,
  steps: [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000].map((x) => ({
    x,
    backends: 1,
    traffic: { ...usual, sessions: 4, isPipelined: false, messageBytes: x },
  })),
};

export interface AxisLimits {
  readonly directoryUsers: number;
  readonly workers: number;
}

export const axes = (limits: AxisLimits): readonly Axis[] => [
  sessions,
  recipients,
  backends,
  directory(limits.directoryUsers),
  workers(limits.workers),
  size,
];
