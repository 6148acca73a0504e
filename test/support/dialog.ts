import type { ProxyOptions } from "./in-process-proxy.ts";
import type { Behaviour } from "./fake-backend.ts";

/**
 * A transcript of what an LMTP client and mailshunt say to each other, and of what the stores get.
 *
 *     What it shows, in as many lines as it takes.
 *     { "stores": { "a": {} }, "users": { "user1": "a" } }
 *     ---
 *     S: 220 shunt.example LMTP mailshunt
 *     C: LHLO mx.example
 *     ...
 *     == a
 *     LHLO shunt.example
 *     ...
 *
 * `C greets` takes the greeting, says LHLO and takes the answer, whatever it announces.
 * `C: text` sends a line with CR LF; lines of the client in a row go out in one write.
 * `C! "bytes"` sends the bytes of a JSON string, one a character, and nothing else.
 * `C* 3 text` is that line three times, `{n}` counting from 1; `S* 3 text` is that reply three times.
 * `S: text` is a reply line word by word, `S~ pattern` one by a regular expression.
 * `C closes`, `C breaks`: FIN or RST. `S closes`: the server ends the connection.
 * `a waits stall`, `a releases`: what a store's script waits for.
 * Below `== store`: every command line that the store gets (left out: any), and as JSON strings the bodies whose final
 * dot came.
 */
export interface Dialog {
  readonly setup: DialogSetup;
  readonly turns: readonly Turn[];
  readonly stores: readonly StoreLog[];
}

export interface DialogSetup extends Omit<ProxyOptions, "backends" | "lookup" | "clock"> {
  readonly stores: Readonly<Record<string, StoreSetup>>;
  /** How the client's bytes are cut: all of a write at once, or so many at a time. Default: whole, 1, 7. */
  readonly chunkings?: readonly ("whole" | number)[];
  /** Whether the stores are asked what they announce before the client comes. Default true. */
  readonly probe?: boolean;
}

export interface StoreSetup {
  readonly keywords?: readonly string[];
  readonly enhanced?: boolean;
  readonly endOfData?: "strict" | "lenient";
  readonly auth?: { readonly user: string; readonly password: string };
  /** By stage; at `rcpt` and `final` also by recipient: `{ "rcpt": { "user1@example.com": "550 5.1.1 no" } }`. */
  readonly script?: Readonly<Record<string, Behaviour | Readonly<Record<string, Behaviour>>>>;
  readonly lowercaseDomain?: boolean;
}

export type Turn =
  | { readonly kind: "send"; readonly bytes: Buffer; readonly line: number }
  | { readonly kind: "expect"; readonly text: string | RegExp; readonly line: number }
  | { readonly kind: "client"; readonly does: "closes" | "breaks"; readonly line: number }
  | { readonly kind: "greet"; readonly line: number }
  | { readonly kind: "server-closes"; readonly line: number }
  | { readonly kind: "store"; readonly store: string; readonly does: string; readonly line: number };

export interface StoreLog {
  readonly store: string;
  readonly commands: readonly string[];
  readonly bodies: readonly string[];
}

export function parseDialog(text: string): Dialog {
  const lines = text.split("\n");
  const rule = lines.indexOf("---");
  const head = lines.slice(0, rule);
  const brace = head.findIndex((line) => line.startsWith("{"));
  if (rule === -1 || brace === -1) throw new Error("a dialog begins with a description, its setup in JSON and `---`");
  const setup = JSON.parse(head.slice(brace).join("\n")) as DialogSetup;
  const end = lines.findIndex((line) => line.startsWith("== "));
  const body = lines.slice(rule + 1, end === -1 ? undefined : end);
  const turns: Turn[] = [];
  for (const [index, line] of body.entries()) addTurn(turns, line, rule + 2 + index);
  return { setup, turns, stores: end === -1 ? [] : parseStores(lines.slice(end)) };
}

function addTurn(turns: Turn[], text: string, line: number): void {
  const add = (bytes: Buffer): void => {
    const last = turns.at(-1);
    if (last?.kind !== "send") return void turns.push({ kind: "send", bytes, line });
    turns[turns.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, bytes]) };
  };
  const mark = text.slice(0, 2);
  const rest = text.slice(3);
  const times = /^(\d+) (.*)$/.exec(rest);
  if (text === "" || text.startsWith("#")) return;
  if (mark === "C:") return add(Buffer.from(`${rest}\r\n`, "utf8"));
  if (mark === "C!") return add(Buffer.from(JSON.parse(rest) as string, "latin1"));
  if (mark === "S:") return void turns.push({ kind: "expect", text: rest, line });
  if (mark === "S~") return void turns.push({ kind: "expect", text: new RegExp(rest), line });
  if ((mark === "C*" || mark === "S*") && times !== null) {
    for (let n = 1; n <= Number(times[1]); n += 1)
      addTurn(turns, `${mark.charAt(0)}: ${(times[2] ?? "").replaceAll("{n}", String(n))}`, line);
    return;
  }
  if (text === "C closes" || text === "C breaks")
    return void turns.push({ kind: "client", does: text === "C closes" ? "closes" : "breaks", line });
  if (text === "C greets") return void turns.push({ kind: "greet", line });
  if (text === "S closes") return void turns.push({ kind: "server-closes", line });
  const store = /^(\w+) (waits \S+|releases)$/.exec(text);
  if (store === null) throw new Error(`line ${line}: what is "${text}"?`);
  turns.push({ kind: "store", store: store[1] ?? "", does: store[2] ?? "", line });
}

function parseStores(lines: readonly string[]): StoreLog[] {
  const logs: { store: string; commands: string[]; bodies: string[] }[] = [];
  for (const line of lines) {
    const log = logs.at(-1);
    const times = /^\* (\d+) (.*)$/.exec(line);
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("== ")) logs.push({ store: line.slice(3), commands: [], bodies: [] });
    else if (line.startsWith('"')) log?.bodies.push(JSON.parse(line) as string);
    else if (times === null) log?.commands.push(line);
    else
      for (let n = 1; n <= Number(times[1]); n += 1) log?.commands.push((times[2] ?? "").replaceAll("{n}", String(n)));
  }
  return logs;
}
