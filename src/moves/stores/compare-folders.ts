import type { FolderContents } from "./folder-contents.ts";

/** How two folders differ; each number counts messages. */
export interface FolderDifference {
  /** In the source alone. */
  readonly missing: number;
  /** In the target alone. */
  readonly extra: number;
  /** In both, with other flags. */
  readonly flags: number;
  /** In both, with another size. */
  readonly sizes: number;
}

const NONE: FolderDifference = { missing: 0, extra: 0, flags: 0, sizes: 0 };

export const countOf = ({ missing, extra, flags, sizes }: FolderDifference): number => missing + extra + flags + sizes;

/** Messages are compared as a multiset: their order and their UIDs are each store's own. */
export function compareContents(
  source: FolderContents,
  target: FolderContents,
  ignoreSizes: boolean,
): FolderDifference {
  if (isSame(source, target, ignoreSizes)) return NONE;
  const explained = explain(source, target, ignoreSizes);
  // However little is told of messages that all look alike: they differ.
  return countOf(explained) === 0 ? { ...NONE, flags: 1 } : explained;
}

/** Sorted keys, without an object for each message. */
function isSame(source: FolderContents, target: FolderContents, ignoreSizes: boolean): boolean {
  if (source.count !== target.count) return false;
  const [left, right] = [keysOf(source, ignoreSizes).sort(), keysOf(target, ignoreSizes).sort()];
  return left.every((key, at) => key === right[at]);
}

/** An odd constant spreads flags and sizes over all bits. Source: the golden ratio, Knuth's multiplicative hashing. */
const SPREAD = 0x9e37_79b9_7f4a_7c15n;

function keysOf({ count, identities, flags, sizes }: FolderContents, ignoreSizes: boolean): BigUint64Array {
  const keys = new BigUint64Array(count);
  for (let at = 0; at < count; at += 1) {
    const size = ignoreSizes ? 0n : BigInt(sizes[at] ?? 0);
    keys[at] = ((identities[at] ?? 0n) * 31n + (flags[at] ?? 0n)) * SPREAD + size;
  }
  return keys;
}

/** Messages of one identity that are looked at one by one, at most: each is compared with each. */
const MAX_ALIKE = 1_000;

/** Pairs messages of one identity: first the equal ones, then those of equal size, then the rest. */
function explain(source: FolderContents, target: FolderContents, ignoreSizes: boolean): FolderDifference {
  const left = byIdentity(source);
  const right = byIdentity(target);
  let [missing, extra, flags, sizes] = [0, 0, 0, 0];
  for (const [identity, ours] of left) {
    const theirs = right.get(identity) ?? [];
    right.delete(identity);
    const sizeOf = (contents: FolderContents, at: number): number => (ignoreSizes ? 0 : (contents.sizes[at] ?? 0));
    const isPair = (mine: number, other: number): boolean =>
      source.flags[mine] === target.flags[other] && sizeOf(source, mine) === sizeOf(target, other);
    if (ours.length > MAX_ALIKE || theirs.length > MAX_ALIKE) {
      missing += Math.max(0, ours.length - theirs.length);
      extra += Math.max(0, theirs.length - ours.length);
      continue;
    }
    const unequal = takePairs(ours, theirs, isPair);
    const unsized = takePairs(unequal, theirs, (mine, other) => sizeOf(source, mine) === sizeOf(target, other));
    flags += unequal.length - unsized.length;
    const paired = Math.min(unsized.length, theirs.length);
    sizes += paired;
    missing += unsized.length - paired;
    extra += theirs.length - paired;
  }
  for (const theirs of right.values()) extra += theirs.length;
  return { missing, extra, flags, sizes };
}

/** Takes partners out of `theirs`. @returns those of ours that have none */
function takePairs(
  ours: readonly number[],
  theirs: number[],
  isPair: (mine: number, other: number) => boolean,
): number[] {
  return ours.filter((mine) => {
    const at = theirs.findIndex((other) => isPair(mine, other));
    if (at !== -1) theirs.splice(at, 1);
    return at === -1;
  });
}

function byIdentity({ count, identities }: FolderContents): Map<bigint, number[]> {
  const found = new Map<bigint, number[]>();
  for (let at = 0; at < count; at += 1) {
    const identity = identities[at] ?? 0n;
    const same = found.get(identity);
    if (same === undefined) found.set(identity, [at]);
    else same.push(at);
  }
  return found;
}
