/** How many of something this process may have at once. It can change where several processes share it. */
export interface Quota {
  readonly limit: number;
  /** Another process waits for one of ours: the next that ends should not be kept. */
  readonly isOwing: boolean;
  /** Asks for one more than `limit`. An answer comes, perhaps before this returns, as `onGrown` or `onDenied`. */
  want(): void;
  /** To be called when one has ended. */
  settle(): void;
}

/** Who has what a quota counts. */
export interface QuotaUser {
  /** How many there are now. */
  used(): number;
  /** Whether somebody of this process waits for one. */
  isWaiting(): boolean;
  onGrown(): void;
  /** There is none left in any process. Never called for the patient. */
  onDenied(): void;
  /** Another process waits: one that idles may end. */
  onOwing(): void;
  /** Waits for as long as it takes until another process has one left. */
  readonly isPatient: boolean;
}

export interface Quotas {
  /** @param key the same in every process for the same thing with the same limits */
  of(key: string, max: number, user: QuotaUser): Quota;
}

/** For a process that shares with nobody. */
export const ownQuotas: Quotas = {
  of: (_key, limit, user) => ({
    limit,
    isOwing: false,
    want() {
      if (!user.isPatient) user.onDenied();
    },
    settle: () => undefined,
  }),
};
