import { ownerOfMove } from "../../directory/names.ts";
import type { DrainOutcome } from "../hold-keeper.ts";
import type { MoveEvent } from "../move.ts";
import type { Act, SyncKind } from "../steps/act.ts";
import { ActFailed } from "../tools.ts";
import { authorOf, persistenceOf } from "./context.ts";
import type { ActContext } from "./context.ts";
import { lookOutside, readOutside, writeOutside } from "./perform-outside.ts";
import { releaseUser } from "./perform-release.ts";
import { persist, Stopped, wait } from "./wait.ts";

/** Between two looks at the sessions of a user who was kicked, in ms. */
const LOOK_AGAIN_MS = 1_000;
const UNLOCK_TRIES = 5;

export type PerformedAct = Exclude<Act, { kind: "switch" }>;

/**
 * Does it, and says what has come of it: `failed` where it could not be done.
 * @throws Stopped when the signal is aborted
 */
export async function perform(act: PerformedAct, context: ActContext): Promise<MoveEvent> {
  try {
    return await attempt(act, context);
  } catch (error) {
    if (error instanceof Stopped || context.signal.aborted) throw new Stopped(act.kind);
    return { kind: "failed", reason: `${describeAct(act)}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

async function attempt(act: PerformedAct, context: ActContext): Promise<MoveEvent> {
  const { parts, subject, signal } = context;
  const { commands, checks } = parts;
  switch (act.kind) {
    case "stop-commands":
      for (const command of act.commands)
        await persist("a command has to end first", persistenceOf(context), async () => {
          if (!(await commands.stop(command)))
            throw new ActFailed(`process group ${command.pgid} does not end, though it was killed`);
        });
      return { kind: "command-gone" };
    case "sync":
      return sync(act.which, context);
    case "compare":
      return { kind: "compared", ...(await checks.compare(subject, { isHeld: act.isHeld, signal })) };
    case "probe":
      if (!act.isHeld) await waitUntilCertain(context);
      return probe(context);
    case "lock":
      await commands.lock(subject, context);
      return { kind: "locked" };
    case "kick":
      return { kind: "kicked", hasCommand: await commands.kick(subject, context) };
    case "wait-for-logins":
      return waitForLogins(context);
    case "hold":
      return hold(context);
    case "check-sessions":
      return checkSessions(context);
    case "write-outside":
      return writeOutside(context);
    case "read-outside":
      return readOutside(act, context);
    case "release":
      await releaseUser(context, act.isOutside);
      return { kind: "released" };
    case "unlock":
      return unlock(context);
  }
}

async function probe(context: ActContext): Promise<MoveEvent> {
  const { parts, subject, signal } = context;
  await parts.checks.probe(subject, signal);
  const outside = await lookOutside(context);
  return subject.isRehearsal === true
    ? { kind: "rehearsed" }
    : { kind: "accepted", atMs: parts.clock.wallMs(), outside };
}

async function sync(which: SyncKind, context: ActContext): Promise<MoveEvent> {
  const { clock, rules, commands } = context.parts;
  await requireOldHome(context);
  const startMs = clock.nowMs();
  await commands.sync(which, context.subject, context);
  const tookMs = Math.round(clock.nowMs() - startMs);
  const { roundsUntilMs, maxRounds } = rules();
  const isLast = which === "final-sync" || tookMs < roundsUntilMs || context.round >= maxRounds;
  return { kind: "synced", tookMs, isLast };
}

/**
 * A sync deletes in the new store what the old one lacks. Since the move was planned, or while it had failed, the user may
 * have come to live there in another way.
 */
async function requireOldHome({ parts, subject }: ActContext): Promise<void> {
  const { user, from } = subject;
  const place = await parts.residence(user);
  if (place.kind === "cannot-tell") throw new ActFailed(`where the user lives is not known: ${place.reason}`);
  if (place.backend !== from) throw new ActFailed(`the user lives in ${place.backend}, not in ${from}`);
}

/** The drain would wait for the same with the user locked out. */
async function waitUntilCertain({ parts, subject, signal }: ActContext): Promise<void> {
  const { directory, clock, rules } = parts;
  for (;;) {
    const latest = directory.uncertain.latest(subject.user);
    const ageMs = latest === undefined ? Infinity : clock.wallMs() - latest.atMs;
    // Below 0 the clock was set back since: the drain knows how long is left, and that is no longer than this.
    const leftMs = rules().settleMs - Math.max(0, ageMs);
    if (leftMs <= 0) return;
    await wait(clock, leftMs, signal);
    if (signal.aborted) throw new Stopped("probe");
    if (ageMs < 0) return;
  }
}

async function waitForLogins({ parts, subject, signal }: ActContext): Promise<MoveEvent> {
  const { logins, clock, rules } = parts;
  const lastMs = await logins.lastLetThroughMs(subject.user);
  const { lockGraceMs } = rules();
  // Not for as long as the clock may have been set back since.
  if (lastMs !== undefined) await wait(clock, Math.min(lockGraceMs, lastMs + lockGraceMs - clock.wallMs()), signal);
  return { kind: "logins-over" };
}

async function hold({ parts, subject, onHold }: ActContext): Promise<MoveEvent> {
  const { keeper, clock, rules } = parts;
  const { moveId, user, to } = subject;
  const deadlineMs = clock.wallMs() + rules().holdDeadlineMs;
  onHold(deadlineMs);
  const request = { user, owner: ownerOfMove(moveId), reason: `the mailbox moves to ${to}`, deadlineMs };
  const { hold, outcome } = await keeper.hold(request, authorOf(subject));
  if (outcome.kind !== "drained") return { kind: "failed", reason: describeDrain(outcome) };
  const { waitedFor, cut, settledMs } = outcome;
  const drained = { generation: hold.generation, drainedMs: clock.wallMs() };
  return { kind: "drained", hold: drained, waitedFor, cut, settledMs };
}

function describeDrain(outcome: Exclude<DrainOutcome, { kind: "drained" }>): string {
  switch (outcome.kind) {
    case "under-way": {
      const [first] = outcome.left;
      const shown = first === undefined ? "" : `, such as session ${first.session} to ${first.backend ?? "no store"}`;
      return `${outcome.left.length} deliveries did not end in time${shown}`;
    }
    case "uncertain":
      return `it is uncertain until ${new Date(outcome.untilMs).toISOString()} what has reached the old store: ${outcome.why}`;
    case "not-held":
      return `the hold did not last: ${outcome.why}`;
  }
}

async function checkSessions(context: ActContext): Promise<MoveEvent> {
  const { parts, subject, signal } = context;
  const { commands, clock, rules } = parts;
  const untilMs = clock.nowMs() + rules().sessionsTimeoutMs;
  for (;;) {
    const count = await commands.countSessions(subject, context);
    if (count === undefined || count === 0) return { kind: "no-sessions", isKnown: count !== undefined };
    if (clock.nowMs() >= untilMs) throw new ActFailed(`${count} sessions at the old store are still open`);
    await commands.kick(subject, context);
    await wait(clock, LOOK_AGAIN_MS, signal);
    if (signal.aborted) throw new Stopped("check-sessions");
  }
}

/** A user whom nobody can let in again is the operator's: the move itself has come to its end. */
async function unlock(context: ActContext): Promise<MoveEvent> {
  const { parts, subject, signal, alarm } = context;
  for (let tries = 1; ; tries += 1) {
    try {
      await parts.commands.unlock(subject, context);
      return { kind: "unlocked", warnings: [] };
    } catch (error) {
      if (signal.aborted) throw new Stopped("unlock");
      const text = `the user could not be unlocked: ${error instanceof Error ? error.message : String(error)}`;
      alarm(text);
      if (tries === UNLOCK_TRIES) return { kind: "unlocked", warnings: [text] };
    }
    await wait(parts.clock, LOOK_AGAIN_MS, signal);
  }
}

function describeAct(act: PerformedAct): string {
  switch (act.kind) {
    case "sync":
      return act.which;
    case "compare":
      return "the mailboxes cannot be compared";
    case "probe":
      return "the new store is not ready";
    case "lock":
      return "the user cannot be locked out";
    case "kick":
      return "sessions cannot be ended";
    case "hold":
      return "the user cannot be held";
    case "check-sessions":
      return "sessions at the old store";
    case "stop-commands":
    case "wait-for-logins":
    case "write-outside":
    case "read-outside":
    case "release":
    case "unlock":
      return act.kind;
  }
}
