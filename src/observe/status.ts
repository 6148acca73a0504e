/** What operators read of stores and deliveries. */

export interface BackendStatus {
  readonly name: string;
  readonly lmtp: string;
  /** Undefined while it answers. */
  readonly trouble: string | undefined;
  /** An operator has taken it out: its users hear 4xx. */
  readonly isDisabled: boolean;
  readonly openSessions: number;
  readonly idleSessions: number;
}

export interface DeliveryStatus {
  readonly user: string;
  readonly session: string;
  readonly backend: string | undefined;
  readonly stage: string;
  readonly ageMs: number;
}
