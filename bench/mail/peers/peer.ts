import type { Program } from "../../processes.ts";

export const PEER_NAMES = ["direct", "haproxy", "nginx", "dovecot", "lmtp_proxy", "mailshunt"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** What stands between source and sink. */
export interface Peer {
  readonly name: PeerName;
  readonly port: number;
  /** Whose CPU time and memory count, children included; nobody's when nothing is in between. */
  readonly program: Program | undefined;
  /** Of the messages that others get: the slow ones have longer rounds otherwise. */
  readonly share: number;
}

export interface PeerParts {
  /** For this peer alone. */
  readonly folder: string;
  /** One for each backend. */
  readonly sinkPorts: readonly number[];
  /** User → number of the backend. */
  readonly users: ReadonlyMap<string, number>;
}
