import type { SinkName } from "./sinks.ts";
import type { Traffic } from "./sources.ts";

/** One row of the goals' table. */
export interface Scenario extends Traffic {
  readonly name: string;
  /** Recipients are spread evenly. */
  readonly backends: 1 | 2;
  readonly sink: SinkName;
  readonly source: Source;
  /** Wall time per message, as a ratio within one run. Undefined: no goal, or nobody to compare with. */
  readonly goals: { readonly haproxyAtMost?: number; readonly dovecotAtLeast: number };
  /** Whether messages are small: then there is a goal for memory, too. */
  readonly isSmall: boolean;
}

/** smtp-source cannot pipeline, and has messages to send; our generator has a time in which to send. */
export type Source =
  | {
      readonly program: "smtp-source";
      /** Of a round: enough for about a second. */
      readonly messages: number;
    }
  | { readonly program: "lmtp-load"; readonly isPipelined: boolean };

const small = {
  sessions: 10,
  messageBytes: 4_096,
  recipients: 1,
  keepsConnection: true,
  backends: 1,
  sink: "smtp-sink",
  isSmall: true,
} as const;
/** smtp-sink does not count recipients. */
const many = {
  ...small,
  recipients: 10,
  sink: "lmtp-sink",
  source: { program: "smtp-source", messages: 4_000 },
} as const;
const pipelined = { ...small, sink: "lmtp-sink", source: { program: "lmtp-load", isPipelined: true } } as const;
/** smtp-source and smtp-sink take as long for it as a proxy does. */
const large = {
  ...small,
  sessions: 4,
  sink: "lmtp-sink",
  source: { program: "lmtp-load", isPipelined: false },
  isSmall: false,
} as const;

export const scenarios: readonly Scenario[] = [
  {
    ...small,
    name: "4 KB, 10 sessions, a connection each",
    keepsConnection: false,
    source: { program: "smtp-source", messages: 5_000 },
    goals: { haproxyAtMost: 1, dovecotAtLeast: 3.5 },
  },
  {
    ...small,
    name: "4 KB, 10 sessions, reused",
    source: { program: "smtp-source", messages: 12_000 },
    goals: { haproxyAtMost: 1, dovecotAtLeast: 4.5 },
  },
  {
    ...small,
    name: "4 KB, 50 sessions, reused",
    sessions: 50,
    source: { program: "smtp-source", messages: 12_000 },
    goals: { haproxyAtMost: 1, dovecotAtLeast: 6 },
  },
  {
    ...small,
    name: "4 KB, 1 session",
    sessions: 1,
    source: { program: "smtp-source", messages: 5_000 },
    goals: { haproxyAtMost: 1, dovecotAtLeast: 2.7 },
  },
  { ...pipelined, name: "4 KB, pipelined, reused", goals: { haproxyAtMost: 1.3, dovecotAtLeast: 6 } },
  {
    ...pipelined,
    name: "4 KB, pipelined, a connection each",
    keepsConnection: false,
    goals: { haproxyAtMost: 1, dovecotAtLeast: 5 },
  },
  { ...many, name: "10 recipients, one backend", goals: { haproxyAtMost: 1, dovecotAtLeast: 5 } },
  { ...many, name: "10 recipients, two backends", backends: 2, goals: { dovecotAtLeast: 7 } },
  { ...large, name: "1 MB, 4 sessions", messageBytes: 1_048_576, goals: { haproxyAtMost: 1.2, dovecotAtLeast: 4 } },
  { ...large, name: "10 MB, 4 sessions", messageBytes: 10_485_760, goals: { haproxyAtMost: 1.3, dovecotAtLeast: 3 } },
];

/** As smtp-source calls its recipients. */
export const userNames = (recipients: number): string[] =>
  Array.from({ length: recipients }, (_, at) => (at === 0 ? "user" : `${at + 1}user`));
