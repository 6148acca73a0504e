import { encodeReply } from "../../protocols/socketmap/reply.ts";
import { RequestDecoder } from "../../protocols/socketmap/request.ts";
import type { Answer } from "../../tables/table.ts";
import { askTable } from "./served-tables.ts";
import type { ServedTables } from "./served-tables.ts";
import type { TableSession, Turn } from "./table-session.ts";

/** A Postfix process; all its maps of one socket come over one connection. */
export class SocketmapSession implements TableSession {
  readonly #tables: ServedTables;
  readonly #decoder = new RequestDecoder();

  constructor(tables: ServedTables) {
    this.#tables = tables;
  }

  get hasInput(): boolean {
    return this.#decoder.hasInput;
  }

  push(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  next(): Turn | Promise<Turn> | undefined {
    const request = this.#decoder.next();
    if (request === undefined) return undefined;
    if (request.kind === "malformed") return { kind: "close", reason: request.reason };
    const { map, key } = request;
    const table = this.#tables.find(map);
    if (table === undefined) return toTurn({ kind: "failed", reason: `no table is named ${map} here` });
    const answer = askTable(this.#tables, map, key, table);
    return answer instanceof Promise ? answer.then(toTurn) : toTurn(answer);
  }
}

const toTurn = (answer: Answer): Turn => ({ kind: "reply", text: encodeReply(answer) });
