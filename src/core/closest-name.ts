/** Edits by which a name may miss the one that was meant, at most; longer names may miss by more. */
const MAX_EDITS = 3;

/** The known name that someone who wrote `wrong` probably meant. */
export function closestName(wrong: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestEdits = Math.min(MAX_EDITS, Math.floor(wrong.length / 2)) + 1;
  const folded = fold(wrong);
  for (const name of known) {
    const edits = fold(name) === folded ? 0 : countEdits(folded, fold(name), bestEdits);
    if (edits < bestEdits) [best, bestEdits] = [name, edits];
  }
  return best;
}

export function didYouMean(wrong: string, known: Iterable<string>): string {
  const name = closestName(wrong, known);
  return name === undefined ? "" : `; did you mean "${name}"?`;
}

/** `idleTimeout`, `Idle-Timeout` and `idle_timeout` are one name to whoever mistypes it. */
const fold = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, "");

/** Insertions, deletions, replacements and swaps of neighbours, counted up to `limit` (optimal string alignment). */
export function countEdits(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let edits = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) edits = Math.min(edits, (beforeLast[column - 2] ?? 0) + 1);
      current.push(edits);
    }
    [beforeLast, last] = [last, current];
  }
  return Math.min(last[b.length] ?? limit, limit);
}
