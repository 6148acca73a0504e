/** Longest user key, backend's name, owner or id of a move, in bytes. An address has 320 at most (RFC 3696, errata 1690). */
export const MAX_NAME_BYTES = 1024;

/** Most entries that one read returns, so that none holds up the deliveries. */
export const MAX_PAGE = 1000;

/** Most moves that are created in one transaction: some 50 ms. */
export const MAX_MOVES_AT_ONCE = 2000;

/** Owner of a move's hold, and who it is in the history. Only this author may touch the user of an active move. */
export const ownerOfMove = (moveId: string): string => `move:${moveId}`;

/** @returns undefined where it may name a user, a backend, an owner or a move; else the reason, to be put after it */
export function describeNameFault(name: string): string | undefined {
  if (name === "") return "is empty";
  // A character is three bytes at most, and a pair of them four.
  if (name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES)
    return `has more than ${MAX_NAME_BYTES} bytes`;
  if (name.includes("\0")) return "contains a NUL character";
  return name.isWellFormed() ? undefined : "contains half a character";
}

/** @throws TypeError */
export function checkNames(names: Readonly<Record<string, string>>): void {
  for (const [what, name] of Object.entries(names)) {
    const fault = describeNameFault(name);
    if (fault !== undefined) throw new TypeError(`${what} ${JSON.stringify(name.slice(0, 80))} ${fault}`);
  }
}
