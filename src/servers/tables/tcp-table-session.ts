import { encodeReply, NOT_SUPPORTED } from "../../protocols/tcp-table/reply.ts";
import { RequestDecoder } from "../../protocols/tcp-table/request-decoder.ts";
import type { Answer } from "../../tables/table.ts";
import { askTable } from "./served-tables.ts";
import type { ServedTables } from "./served-tables.ts";
import type { TableSession, Turn } from "./table-session.ts";

/** A Postfix process that asks one table. */
export class TcpTableSession implements TableSession {
  readonly #tables: ServedTables;
  readonly #name: string;
  readonly #decoder = new RequestDecoder();

  constructor(tables: ServedTables, name: string) {
    this.#tables = tables;
    this.#name = name;
  }

  get hasInput(): boolean {
    return this.#decoder.hasInput;
  }

  push(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  next(): Turn | Promise<Turn> | undefined {
    const request = this.#decoder.next();
    switch (request?.kind) {
      case undefined:
        return undefined;
      case "malformed":
        return { kind: "close", reason: request.reason };
      case "put":
        return { kind: "reply", text: NOT_SUPPORTED };
      case "get": {
        const table = this.#tables.find(this.#name);
        if (table === undefined) return toTurn({ kind: "failed", reason: `there is no table ${this.#name}` });
        const answer = askTable(this.#tables, this.#name, request.key, table);
        return answer instanceof Promise ? answer.then(toTurn) : toTurn(answer);
      }
    }
  }
}

const toTurn = (answer: Answer): Turn => ({ kind: "reply", text: encodeReply(answer) });
