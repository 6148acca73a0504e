/**
 * A circle of tables that ask each other, from `start` back to it; undefined where there is none. One that also holds a
 * table from before `start` is left to that one, so that each is found once.
 * @param membersOf by table, in the order of the file
 */
export function findCircle(
  start: string,
  membersOf: ReadonlyMap<string, readonly string[]>,
): readonly string[] | undefined {
  const before = new Set<string>();
  for (const name of membersOf.keys()) {
    if (name === start) break;
    before.add(name);
  }
  const path: string[] = [];
  const seen = new Set<string>();
  const visit = (name: string): boolean => {
    if (name === start && path.length > 0) return true;
    if (seen.has(name) || before.has(name)) return false;
    seen.add(name);
    path.push(name);
    for (const member of membersOf.get(name) ?? []) if (visit(member)) return true;
    path.pop();
    return false;
  };
  return visit(start) ? [...path, start] : undefined;
}

export const describeCircle = (circle: readonly string[]): string =>
  `these tables ask each other in a circle: ${circle.join(" → ")}`;
