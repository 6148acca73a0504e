import { hash } from "node:crypto";
import type { FolderState, MailboxReader } from "./mailbox-reader.ts";

/**
 * What the comparison needs of a folder's messages, 28 bytes each: a mailbox of a million fits well. Digests have 64 bits,
 * of which two equal ones among a million different messages are a matter of one in thirty million.
 */
export interface FolderContents {
  readonly uidValidity: string;
  readonly count: number;
  readonly uids: Uint32Array;
  /** Of the identifying header fields. */
  readonly identities: BigUint64Array;
  readonly sizes: Float64Array;
  /** Of the flags that are compared. */
  readonly flags: BigUint64Array;
}

/** Reads the folder that was examined. What was read of it before spares the headers: messages never change. */
export async function readContents(
  reader: MailboxReader,
  state: FolderState,
  before: FolderContents | undefined,
  ignoreFlags: ReadonlySet<string>,
): Promise<FolderContents> {
  const drafts = new Drafts(state.count);
  if (state.count > 0)
    for await (const facts of reader.facts())
      drafts.add(facts.uid, facts.sizeBytes, digestFlags(facts.flags, ignoreFlags));
  const known = before?.uidValidity === state.uidValidity ? before : undefined;
  const at = new Map<number, number>();
  const missing: number[] = [];
  for (let index = 0, old = 0; index < drafts.count; index += 1) {
    const uid = drafts.uids[index] ?? 0;
    while (known !== undefined && old < known.count && (known.uids[old] ?? 0) < uid) old += 1;
    if (known !== undefined && old < known.count && known.uids[old] === uid)
      drafts.identities[index] = known.identities[old] ?? 0n;
    else {
      at.set(uid, index);
      missing.push(uid);
    }
  }
  for (const uids of toSets(missing))
    for await (const { uid, headers } of reader.headers(uids)) {
      const index = at.get(uid);
      if (index === undefined) continue;
      at.delete(uid);
      drafts.identities[index] = digest(normalizeHeaders(headers));
    }
  if (at.size > 0) throw new Error(`the headers of ${at.size} messages did not come; somebody may be deleting them`);
  return { uidValidity: state.uidValidity, ...drafts.finish() };
}

/** Grows with what comes: a count that a store told us is no more than a hint. */
class Drafts {
  count = 0;
  uids: Uint32Array;
  identities: BigUint64Array;
  #sizes: Float64Array;
  #flags: BigUint64Array;

  constructor(hint: number) {
    const capacity = Math.min(Math.max(hint, 16), 1_000_000);
    this.uids = new Uint32Array(capacity);
    this.identities = new BigUint64Array(capacity);
    this.#sizes = new Float64Array(capacity);
    this.#flags = new BigUint64Array(capacity);
  }

  add(uid: number, sizeBytes: number, flags: bigint): void {
    if (this.count > 0 && uid <= (this.uids[this.count - 1] ?? 0))
      throw new Error("the store lists messages out of order");
    if (this.count === this.uids.length) this.#grow();
    this.uids[this.count] = uid;
    this.#sizes[this.count] = sizeBytes;
    this.#flags[this.count] = flags;
    this.count += 1;
  }

  finish(): Omit<FolderContents, "uidValidity"> {
    const { count } = this;
    return {
      count,
      uids: this.uids.slice(0, count),
      identities: this.identities.slice(0, count),
      sizes: this.#sizes.slice(0, count),
      flags: this.#flags.slice(0, count),
    };
  }

  #grow(): void {
    const capacity = this.uids.length * 2;
    const [uids, identities, sizes, flags] = [this.uids, this.identities, this.#sizes, this.#flags];
    (this.uids = new Uint32Array(capacity)).set(uids);
    (this.identities = new BigUint64Array(capacity)).set(identities);
    (this.#sizes = new Float64Array(capacity)).set(sizes);
    (this.#flags = new BigUint64Array(capacity)).set(flags);
  }
}

/** Ranges in one set: RFC 7162 lets servers refuse lines of more than 8192 bytes. */
const MAX_RANGES = 300;

/** @param uids in order */
export function toSets(uids: readonly number[]): readonly string[] {
  const ranges: string[] = [];
  for (let first = 0; first < uids.length;) {
    let last = first;
    while (uids[last + 1] === (uids[last] ?? 0) + 1) last += 1;
    ranges.push(first === last ? `${uids[first]}` : `${uids[first]}:${uids[last]}`);
    first = last + 1;
  }
  const sets: string[] = [];
  for (let at = 0; at < ranges.length; at += MAX_RANGES) sets.push(ranges.slice(at, at + MAX_RANGES).join(","));
  return sets;
}

function digestFlags(flags: ReadonlySet<string>, ignored: ReadonlySet<string>): bigint {
  const compared = [...flags]
    .map((flag) => flag.toLowerCase())
    .filter((flag) => flag !== "\\recent" && !ignored.has(flag));
  return compared.length === 0 ? 0n : digest(compared.sort().join(" "));
}

/** Stores fold lines anew, order fields as they like, and differ in blanks. */
export function normalizeHeaders(headers: Buffer): string {
  return headers
    .toString("latin1")
    .replaceAll(/\r?\n[ \t]+/g, " ")
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const colon = line.indexOf(":");
      return `${line.slice(0, colon).trim().toLowerCase()}:${line
        .slice(colon + 1)
        .replaceAll(/[ \t]+/g, " ")
        .trim()}`;
    })
    .sort()
    .join("\n");
}

const digest = (text: string): bigint => hash("sha1", text, "buffer").readBigUInt64LE(0);
