import { unreachable } from "../../core/unreachable.ts";
import { type DictCommand, type Hello } from "./command.ts";
import { decodeIterateFlags, type IterateFlags } from "./iteration.ts";
import { encodeCommitReply } from "./reply.ts";
import { OpenTransactions, Transaction, type DictChange, type Timestamp } from "./transactions.ts";

/** Where a dict connection stands between two commands. */
export type DictState =
  | { readonly phase: "connected" }
  | { readonly phase: "open"; readonly hello: Hello; readonly transactions: OpenTransactions }
  | { readonly phase: "closing" };

/** To be done, and answered, in order. */
export type DictAction =
  /** Not answered. Where no dict has this name the connection is closed: there is no reply for it. */
  | {
      readonly kind: "open";
      readonly dictName: string;
      /** Whether a lookup may be answered with `M`. */
      readonly takesSeveralValues: boolean;
    }
  /** `user` is empty where there is none. */
  | { readonly kind: "lookup"; readonly key: string; readonly user: string }
  | {
      readonly kind: "iterate";
      readonly paths: readonly string[];
      readonly flags: IterateFlags;
      /** Infinity: all. */
      readonly maxRows: number;
      readonly user: string;
    }
  | {
      readonly kind: "commit";
      readonly id: number;
      readonly isAsync: boolean;
      /** To be done together, in order. May be empty. */
      readonly changes: readonly DictChange[];
      readonly user: string;
      /** 0: never. */
      readonly expireSeconds: number;
      readonly timestamp: Timestamp | undefined;
      /** The values are not for logs. */
      readonly hidesValues: boolean;
    }
  /** An answer that needs no table; one character a byte. */
  | { readonly kind: "reply"; readonly text: string }
  /** Once what came before is answered, and with no answer to this. `reason` is for the log. */
  | { readonly kind: "close"; readonly reason: string };

export interface DictStep {
  readonly state: DictState;
  readonly actions: readonly DictAction[];
}

export const INITIAL_STATE: DictState = { phase: "connected" };

const MAJORS: readonly number[] = [2, 3, 4];
const NO_ACTIONS: readonly DictAction[] = [];
/** What of a peer's text goes into a reason. */
const MAX_QUOTED_UNITS = 100;

/** What one command does to a session. Never fails: what a client does wrong closes the connection, as Dovecot's own server does. */
export function onCommand(state: DictState, command: DictCommand): DictStep {
  switch (state.phase) {
    case "closing":
      return { state, actions: NO_ACTIONS };
    case "connected":
      return onFirstCommand(command);
    case "open":
      return onNextCommand(state, command);
    default:
      return unreachable(state);
  }
}

function onFirstCommand(command: DictCommand): DictStep {
  if (command.kind === "malformed") return close(command.reason);
  if (command.kind !== "hello") return close("a command before the handshake");
  const { major, minor, dictName } = command;
  if (!MAJORS.includes(major)) return close(`dict protocol ${major}.${minor} is not known`);
  // In version 4 the minor began again at 0, with all that was added before.
  const takesSeveralValues = major >= 4 || minor >= 2;
  return {
    state: { phase: "open", hello: command, transactions: new OpenTransactions() },
    actions: [{ kind: "open", dictName, takesSeveralValues }],
  };
}

function onNextCommand(state: DictState & { phase: "open" }, command: DictCommand): DictStep {
  switch (command.kind) {
    case "malformed":
      return close(command.reason);
    case "hello":
      return close("a second handshake");
    case "lookup": {
      const { key, user } = command;
      const fault = keyFault(key, user);
      return fault === undefined ? act(state, { kind: "lookup", key, user }) : close(fault);
    }
    case "iterate": {
      const { paths, user } = command;
      const fault = paths.map((path) => keyFault(path, user)).find((found) => found !== undefined);
      if (fault !== undefined) return close(fault);
      const maxRows = command.maxRows === 0 ? Infinity : command.maxRows;
      return act(state, { kind: "iterate", paths, flags: decodeIterateFlags(command.flags), maxRows, user });
    }
    case "begin":
      if (state.transactions.find(command.id) !== undefined) return close(`transaction ${command.id} has begun before`);
      if (state.transactions.isFull) return close("too many open transactions");
      state.transactions.begin(new Transaction(command.id, command.user, command.expireSeconds));
      return { state, actions: NO_ACTIONS };
    case "set":
    case "append":
      return onChange(state, command.id, { kind: command.kind, key: command.key, value: command.value });
    case "unset":
      return onChange(state, command.id, { kind: "unset", key: command.key });
    case "increment":
      return onChange(state, command.id, { kind: "increment", key: command.key, by: command.by });
    case "timestamp":
    case "hide-log-values":
    case "commit":
    case "rollback": {
      const transaction = state.transactions.find(command.id);
      return transaction === undefined ? closeUnknown(command.id) : onTransaction(state, transaction, command);
    }
    default:
      return unreachable(command);
  }
}

function onTransaction(
  state: DictState & { phase: "open" },
  transaction: Transaction,
  command: DictCommand & { kind: "timestamp" | "hide-log-values" | "commit" | "rollback" },
): DictStep {
  switch (command.kind) {
    case "timestamp":
      transaction.timestamp = { seconds: command.seconds, nanoseconds: command.nanoseconds };
      return { state, actions: NO_ACTIONS };
    case "hide-log-values":
      transaction.hidesValues = command.isHiding;
      return { state, actions: NO_ACTIONS };
    case "rollback":
      state.transactions.remove(transaction);
      return { state, actions: NO_ACTIONS };
    case "commit": {
      state.transactions.remove(transaction);
      const { id, isAsync } = command;
      const { changes, user, expireSeconds, timestamp, hidesValues, refusal } = transaction;
      if (refusal === undefined)
        return act(state, { kind: "commit", id, isAsync, changes, user, expireSeconds, timestamp, hidesValues });
      return act(state, { kind: "reply", text: encodeCommitReply(id, isAsync, { kind: "failed", reason: refusal }) });
    }
    default:
      return unreachable(command);
  }
}

function onChange(state: DictState & { phase: "open" }, id: number, change: DictChange): DictStep {
  const transaction = state.transactions.find(id);
  if (transaction === undefined) return closeUnknown(id);
  const fault = keyFault(change.key, transaction.user);
  if (fault !== undefined) return close(fault);
  state.transactions.add(transaction, change);
  return { state, actions: NO_ACTIONS };
}

/** Keys are of one user or of all. Also said of paths. */
function keyFault(key: string, user: string): string | undefined {
  if (key.startsWith("shared/")) return undefined;
  if (!key.startsWith("priv/")) return `key ${quote(key)} begins neither with priv/ nor with shared/`;
  return user === "" ? `key ${quote(key)} without a user` : undefined;
}

function closeUnknown(id: number): DictStep {
  return close(`no transaction ${id} has begun`);
}

function close(reason: string): DictStep {
  return { state: { phase: "closing" }, actions: [{ kind: "close", reason }] };
}

function act(state: DictState, action: DictAction): DictStep {
  return { state, actions: [action] };
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, MAX_QUOTED_UNITS));
}
