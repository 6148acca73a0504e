import type { JournalEntry, Move } from "../../directory/directory.ts";
import type { MoveEvent, MovePhase, MoveState } from "../move.ts";
import type { JournalLine, MoveView } from "../move-service.ts";
import type { MoveSubject } from "../tools.ts";
import { batchOf } from "./batches.ts";
import { decodeEntry } from "./journal.ts";

/** What the directory keeps of a move beside its journal. */
export interface KeptOptions {
  readonly preset: string;
  /** Undefined in those of older versions. */
  readonly isRehearsal?: boolean;
}

export const encodeOptions = (options: KeptOptions): string => JSON.stringify(options);

function optionsOf({ optionsJson }: Move): Required<KeptOptions> {
  const { preset, isRehearsal = false } = JSON.parse(optionsJson) as KeptOptions;
  return { preset, isRehearsal };
}

export const toSubject = (move: Move): MoveSubject => ({
  moveId: move.id,
  user: move.user,
  from: move.from,
  to: move.to,
  ...optionsOf(move),
});

export const toView = (move: Move): MoveView => ({
  id: move.id,
  number: move.number,
  batchId: batchOf(move.id),
  user: move.user,
  from: move.from,
  to: move.to,
  ...optionsOf(move),
  phase: move.state as MovePhase,
  isActive: move.isActive,
  createdMs: move.createdMs,
  changedMs: move.changedMs,
});

export const doingOf = (state: MoveState): string | undefined => ("doing" in state ? state.doing : undefined);
export const roundOf = (state: MoveState): number | undefined => (state.phase === "pre-sync" ? state.round : undefined);
export const reasonOf = (state: MoveState): string | undefined => ("reason" in state ? state.reason : undefined);
export const warningsOf = (state: MoveState): readonly string[] => ("warnings" in state ? state.warnings : []);

export function toLine({ position, atMs, entryJson }: JournalEntry, ends: Ends): JournalLine {
  const { event } = decodeEntry(entryJson);
  return { position, atMs, what: event.kind, text: describeEvent(event, ends) };
}

/** Named as the backends are: of a move back, the "new store" would be the old one. */
type Ends = Pick<Move, "from" | "to">;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function describeEvent(event: MoveEvent, { from, to }: Ends): string {
  switch (event.kind) {
    case "created":
      return "planned";
    case "started":
      return "its turn has come";
    case "command-started":
      return `a command runs as process group ${event.command.pgid}`;
    case "command-gone":
      return "nothing of its command is left";
    case "synced":
      return `synced in ${seconds(event.tookMs)}${event.isLast ? "" : "; once more"}`;
    case "compared":
      return event.text;
    case "accepted":
      return `${to} takes mail for the user and lets the user in`;
    case "rehearsed":
      return `${to} takes mail for the user and lets the user in; the rehearsal is over`;
    case "locked":
      return "new logins have to wait";
    case "kicked":
      return event.hasCommand === false
        ? `no command is configured that ends sessions at ${from}`
        : `sessions at ${from} were ended`;
    case "logins-over":
      return `no login is on its way to ${from}`;
    case "drained":
      return `held and drained: ${event.waitedFor} deliveries were waited for, ${event.cut} cut, ${seconds(event.settledMs)} settled`;
    case "no-sessions":
      return event.isKnown === false
        ? `no command is configured that tells whether sessions are open at ${from}`
        : `no session is open at ${from}`;
    case "switched":
      return `switched: the user lives in ${to}`;
    case "outside-written":
      return `the outside table: ${event.text}`;
    case "outside-read":
      return `the outside table has the ${event.value} backend`;
    case "released":
      return "the user's mail goes on";
    case "unlocked":
      return ["the user can log in", ...event.warnings].join("; ");
    case "failed":
    case "interrupted":
      return event.reason;
    case "deadline-passed":
      return "the hold's deadline has passed";
    case "restarted":
      return "the daemon was started again";
    case "paused":
    case "resumed":
    case "cancelled":
      return `${event.kind} by ${event.who}`;
    case "retried":
      return `tried again by ${event.who}`;
  }
}
