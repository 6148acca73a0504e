import type { MoveEvent, OutsideBefore } from "../move.ts";
import type { Act } from "../steps/act.ts";
import { ActFailed } from "../tools.ts";
import type { OutsideAuthority, OutsideWrite } from "../tools.ts";
import { persistenceOf } from "./context.ts";
import type { ActContext } from "./context.ts";
import { persist } from "./wait.ts";

/** What the outside table says before anybody writes; undefined where there is none. */
export async function lookOutside({ parts, subject }: ActContext): Promise<OutsideBefore | undefined> {
  const { outside } = parts;
  if (outside === undefined) return undefined;
  const answer = await outside.read(subject.user);
  switch (answer.kind) {
    case "found":
      if (answer.backend === subject.from) return "old";
      throw new ActFailed(`table ${outside.table} says that the user lives in "${answer.backend}"`);
    case "absent":
      return "absent";
    case "failed":
      throw new ActFailed(`table ${outside.table} cannot be read: ${answer.reason}`);
  }
}

export async function writeOutside(context: ActContext): Promise<MoveEvent> {
  const { parts, subject, alarm } = context;
  const written = await tryToWrite(context).catch((error: unknown): OutsideWrite => ({
    kind: "unknown",
    reason: String(error),
  }));
  const text = written.kind === "written" ? `${subject.to} was written` : written.reason;
  if (written.kind === "unknown") alarm(`it is unknown whether the new backend was written: ${text}`);
  return { kind: "outside-written", atMs: parts.clock.wallMs(), isRefused: written.kind === "refused", text };
}

async function tryToWrite({ parts, subject }: ActContext): Promise<OutsideWrite> {
  if (parts.outside === undefined) return { kind: "refused", reason: MISSING };
  return parts.outside.write(subject.user, subject.to);
}

/** The old value counts only once no write can be under way: a late one would come after the release. */
export function readOutside(act: Extract<Act, { kind: "read-outside" }>, context: ActContext): Promise<MoveEvent> {
  const { parts, subject } = context;
  const { clock } = parts;
  let settledMs: number | undefined;
  return persist("what the outside table says now decides", persistenceOf(context), async () => {
    const outside = outsideOf(context);
    // By the clock that nobody sets; the other one alone tells of the time before this daemon.
    settledMs ??= clock.nowMs() + Math.min(outside.settleMs, act.writtenMs + outside.settleMs - clock.wallMs());
    // What it says may be of the moment in which it was asked, however late the answer comes.
    const isSettled = act.isRefused || clock.nowMs() >= settledMs;
    const answer = await outside.read(subject.user);
    if (answer.kind === "failed") throw new ActFailed(answer.reason);
    if (answer.kind === "found" && answer.backend === subject.to) {
      // Before the switch: from its commit on nobody may be sent to the old store.
      await outside.forget(subject.user);
      return { kind: "outside-read", value: "new" };
    }
    const isOld = answer.kind === "absent" ? act.before === "absent" : answer.backend === subject.from;
    if (!isOld) {
      const said = answer.kind === "absent" ? "it says nothing of the user" : `it says "${answer.backend}"`;
      throw new ActFailed(`${said}: make it say "${subject.to}", to go on, or "${subject.from}", to go back`);
    }
    if (!isSettled) throw new ActFailed("it says the old backend, but a write may still be under way");
    return { kind: "outside-read", value: "old" };
  });
}

const MISSING = "this move needs directory.write_through, which is no longer configured: put it back";

/** @throws ActFailed */
export function outsideOf({ parts }: ActContext): OutsideAuthority {
  if (parts.outside === undefined) throw new ActFailed(MISSING);
  return parts.outside;
}
