/** A figure that was to be reached. Goals are no tests: a busy machine may miss them. */
export interface Goal {
  readonly what: string;
  readonly reached: number;
  readonly wanted: number;
  readonly unit: string;
  readonly isMet: boolean;
}

export const atMost = (what: string, reached: number, wanted: number, unit: string): Goal => ({
  what,
  reached,
  wanted,
  unit,
  isMet: reached <= wanted,
});

export const atLeast = (what: string, reached: number, wanted: number, unit: string): Goal => ({
  what,
  reached,
  wanted,
  unit,
  isMet: reached >= wanted,
});

/** Whole numbers where they are great enough. */
export const formatFigure = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);

export function showGoals(goals: readonly Goal[]): void {
  for (const { what, reached, wanted, unit, isMet } of goals)
    console.log(`  goal ${isMet ? "reached" : "MISSED"}: ${what} ${formatFigure(reached)} of ${wanted} ${unit}`);
}
