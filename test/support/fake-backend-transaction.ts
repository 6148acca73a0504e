import type { FakeTransaction } from "./fake-backend-types.ts";

export interface PathLine {
  readonly address: string;
  readonly list: readonly string[];
  /** What no client may send to a store that announced these keywords. */
  readonly faults: readonly string[];
}

/** Which keyword a parameter needs where it is not the parameter's own. */
const NEEDS: Readonly<Record<string, string>> = {
  BODY: "8BITMIME",
  RET: "DSN",
  ENVID: "DSN",
  NOTIFY: "DSN",
  ORCPT: "DSN",
};

/** What follows `MAIL FROM:` or `RCPT TO:`. */
export function parsePathLine(rest: string, announced: ReadonlySet<string>): PathLine {
  const path = /^<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(.*)$/.exec(rest);
  const faults = path === null ? ["no path"] : [];
  const list = (path?.[2] ?? "").split(" ").filter((word) => word !== "");
  for (const parameter of list) {
    const keyword = (parameter.split("=")[0] ?? "").toUpperCase();
    const needed = NEEDS[keyword] ?? keyword;
    if (!announced.has(needed)) faults.push(`parameter ${parameter} without ${needed} announced`);
  }
  return { address: path?.[1] ?? "", list, faults };
}

export function newTransaction(
  connection: number,
  sender: string,
  mailParameters: readonly string[],
  xforward: readonly string[],
): FakeTransaction {
  return {
    connection,
    sender,
    mailParameters,
    xforward,
    recipients: [],
    body: Buffer.alloc(0),
    bodyBytes: 0,
    bodySha256: "",
    finalReplies: [],
    ended: "open",
  };
}
