import { CommandDecoder } from "../../protocols/dict/command-decoder.ts";
import { encodeCommitReply, encodeLookupReply } from "../../protocols/dict/reply.ts";
import { INITIAL_STATE, onCommand } from "../../protocols/dict/session.ts";
import type { DictAction, DictState } from "../../protocols/dict/session.ts";
import type { Answer, Change, Table, WriteOutcome } from "../../tables/table.ts";
import type { DictKeys } from "./dict-keys.ts";
import { iterate } from "./dict-iteration.ts";
import { askTable } from "./served-tables.ts";
import type { ServedTables } from "./served-tables.ts";
import { NOTHING } from "./table-session.ts";
import type { TableSession, Turn } from "./table-session.ts";

/** How much of a name that is none of ours the log shows. */
const MAX_NAME_SHOWN = 100;

type Commit = DictAction & { readonly kind: "commit" };

/** A Dovecot process that uses one dict. */
export class DictSession implements TableSession {
  readonly #tables: ServedTables;
  readonly #keys: DictKeys;
  readonly #decoder = new CommandDecoder();
  #state: DictState = INITIAL_STATE;
  #name = "";
  #takesSeveralValues = false;

  constructor(tables: ServedTables, keys: DictKeys) {
    this.#tables = tables;
    this.#keys = keys;
  }

  get hasInput(): boolean {
    return this.#decoder.hasInput;
  }

  push(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  next(): Turn | Promise<Turn> | undefined {
    const command = this.#decoder.next();
    if (command === undefined) return undefined;
    const { state, actions } = onCommand(this.#state, command);
    this.#state = state;
    const [action] = actions;
    return action === undefined ? NOTHING : this.#do(action);
  }

  #do(action: DictAction): Turn | Promise<Turn> {
    switch (action.kind) {
      case "open":
        this.#name = action.dictName;
        this.#takesSeveralValues = action.takesSeveralValues;
        // The protocol has no word for it: as Dovecot's own server, we close.
        return this.#tables.find(this.#name) === undefined
          ? { kind: "close", reason: `no table is named ${this.#name.slice(0, MAX_NAME_SHOWN)} here` }
          : NOTHING;
      case "lookup":
        return this.#lookup(this.#keys.toTable(action.key, action.user));
      case "iterate": {
        const table = this.#tables.find(this.#name);
        return { kind: "stream", pages: iterate(table, this.#keys, action) };
      }
      case "commit":
        return this.#commit(action).then((outcome) => ({
          kind: "reply",
          text: encodeCommitReply(action.id, action.isAsync, outcome),
        }));
      case "reply":
        return action;
      case "close":
        return action;
    }
  }

  #lookup(key: string): Turn | Promise<Turn> {
    const table = this.#tables.find(this.#name);
    if (table === undefined) return this.#toTurn(this.#gone());
    const answer = askTable(this.#tables, this.#name, key, table);
    return answer instanceof Promise ? answer.then((late) => this.#toTurn(late)) : this.#toTurn(answer);
  }

  #toTurn(answer: Answer): Turn {
    return { kind: "reply", text: encodeLookupReply(answer, this.#takesSeveralValues) };
  }

  async #commit({ changes: given, user, expireSeconds }: Commit): Promise<WriteOutcome> {
    const table = this.#tables.find(this.#name);
    const changes: Change[] = [];
    for (const change of given) {
      // Of Dovecot 2.2 alone, which never sent it.
      if (change.kind === "append") return { kind: "failed", reason: "append is not supported" };
      const key = this.#keys.toTable(change.key, user);
      const expiry = change.kind === "set" && expireSeconds > 0 ? { expireSeconds } : {};
      changes.push({ ...change, key, ...expiry });
    }
    const outcome = await this.#write(table, changes);
    this.#tables.onWrite(
      this.#name,
      changes.map(({ key }) => key),
      outcome.kind === "done" || outcome.kind === "absent" ? outcome.kind : `${outcome.kind}: ${outcome.reason}`,
    );
    return outcome;
  }

  async #write(table: Table | undefined, changes: readonly Change[]): Promise<WriteOutcome> {
    if (table === undefined) return this.#gone();
    if (table.write === undefined) return { kind: "failed", reason: `table ${table.name} cannot be written` };
    return changes.length === 0 ? { kind: "done" } : table.write(changes);
  }

  #gone(): { readonly kind: "failed"; readonly reason: string } {
    return { kind: "failed", reason: `no table is named ${this.#name} here any more` };
  }
}
