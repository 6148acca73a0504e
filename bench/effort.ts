/** How much is done: enough for figures that hold, or a first look. */
export interface Effort {
  /** Beside one that warms up. */
  readonly rounds: number;
  /** The same where something grows: many places of a curve need fewer rounds each. */
  readonly growthRounds: number;
  /** Of the messages that a scenario names. */
  readonly share: number;
  /** How long our own generator sends in each round. */
  readonly seconds: number;
  /** How long one table server is asked in each round. */
  readonly tableSeconds: number;
}

export const FULL: Effort = { rounds: 7, growthRounds: 3, share: 1, seconds: 1, tableSeconds: 1 };
export const QUICK: Effort = { rounds: 2, growthRounds: 2, share: 0.2, seconds: 0.25, tableSeconds: 0.2 };
