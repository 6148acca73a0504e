/** One row of the benchmark: how smtp-source is told to send. */
export interface Scenario {
  readonly name: string;
  readonly sessions: number;
  readonly messageBytes: number;
  readonly recipients: number;
  /** Whether a session's messages go over one connection, or each over its own. */
  readonly keepsConnection: boolean;
  /** Messages of a round: enough for about a second. */
  readonly messages: number;
}

const small = { sessions: 1, messageBytes: 4_096, recipients: 1, keepsConnection: true, messages: 5_000 };

export const scenarios: readonly Scenario[] = [
  { ...small, name: "4 KB, 1 session" },
  { ...small, name: "4 KB, 10 sessions", sessions: 10, messages: 10_000 },
  {
    ...small,
    name: "4 KB, 10 sessions, a connection per message",
    sessions: 10,
    keepsConnection: false,
    messages: 4_000,
  },
  { ...small, name: "4 KB, 10 sessions, 10 recipients", sessions: 10, recipients: 10, messages: 3_000 },
  { ...small, name: "1 MB, 4 sessions", sessions: 4, messageBytes: 1_048_576, messages: 200 },
];
