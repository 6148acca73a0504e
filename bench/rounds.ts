/**
 * Runs each of them once in each round, and who begins changes with each.
 * @returns what each run gave; the first one is to warm up
 */
export async function takeTurns<Target, Result>(
  targets: readonly Target[],
  rounds: number,
  run: (target: Target) => Promise<Result>,
): Promise<Map<Target, Result[]>> {
  const results = new Map<Target, Result[]>(targets.map((target) => [target, []]));
  for (let round = 0; round <= rounds; round++)
    for (let turn = 0; turn < targets.length; turn++) {
      const target = targets[(round + turn) % targets.length];
      if (target !== undefined) results.get(target)?.push(await run(target));
    }
  return results;
}
