import { EXIT } from "../../core/exit-codes.ts";
import { parseDuration } from "../../core/units.ts";
import type { CommandIo } from "../command-io.ts";
import { count, formatAge, formatTime, shown } from "./format.ts";
import { unlessInterrupted } from "./interrupt.ts";
import { showProgress } from "./hold-progress.ts";
import type { DeliveryState, HoldState } from "./status.ts";
import { forEachNamed, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface HoldFlags extends AdminFlags {
  readonly reason?: string;
  readonly deadline?: string;
  readonly owner?: string;
  readonly json?: true;
}

interface HoldReply {
  readonly hold: HoldState;
  readonly warning?: string;
  readonly drain:
    | { readonly outcome: "drained"; readonly waited_for: number; readonly cut: number; readonly settled_ms: number }
    | { readonly outcome: "under-way"; readonly left: readonly DeliveryState[] }
    | { readonly outcome: "uncertain"; readonly until: string; readonly why: string }
    | { readonly outcome: "not-held"; readonly why: string };
}

/** Users held at a time: each waits for its own drain, and the progress needs a connection, too. */
const AT_ONCE = 40;

/**
 * `mailshunt hold`.
 * @returns 0 only when every user is drained: from then on no byte of their mail reaches a store until the release; 75
 * when one is held and not drained; 130 when it was interrupted; else as `withAdmin`
 */
export async function runHold(users: readonly string[], flags: HoldFlags, io: CommandIo): Promise<number> {
  const deadlineMs = flags.deadline === undefined ? undefined : durationOf(flags.deadline, io);
  if (deadlineMs === "bad") return EXIT.usage;
  return withAdmin(flags, io, async (client) => {
    /** Asked for, and not answered. */
    const waiting = new Set<string>();
    const held: string[] = [];
    const hold = async (user: string): Promise<number> => {
      const { owner, reason } = flags;
      waiting.add(user);
      try {
        const body = { user, owner, reason, deadline_ms: deadlineMs };
        const reply = await client.ask<HoldReply>("POST", "/v1/holds", { body });
        held.push(user);
        if (reply.warning !== undefined)
          io.stderr.write(`mailshunt: ${shown(user)}: is that the name? ${shown(reply.warning)}\n`);
        io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : toText(reply));
        return reply.drain.outcome === "drained" ? EXIT.ok : EXIT.tempFail;
      } finally {
        waiting.delete(user);
      }
    };
    const endProgress = showProgress(client, waiting, io);
    const act = (): Promise<number> => forEachNamed(users, io, hold, AT_ONCE);
    try {
      return await unlessInterrupted(act, () => interruptedText([...held, ...waiting], flags), io.stderr);
    } finally {
      endProgress();
    }
  });
}

function interruptedText(users: readonly string[], { owner }: HoldFlags): string {
  if (users.length === 0) return "mailshunt: interrupted: nobody is held by this command\n";
  const command = `mailshunt release ${users.map(quoted).join(" ")}${owner === undefined ? "" : ` --owner ${quoted(owner)}`}`;
  const who = users.length === 1 ? `${shown(users[0] ?? "")} stays held` : `${users.length} users stay held`;
  return `mailshunt: interrupted: ${who} until the deadline or a release: ${command}\n`;
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function durationOf(given: string, { stderr }: CommandIo): number | "bad" {
  const parsed = parseDuration(given, "m");
  if (parsed.kind === "ok" && parsed.value >= MIN_DEADLINE_MS) return parsed.value;
  const reason = parsed.kind === "ok" ? `"${given}" is too short: a deadline is 1s at least` : parsed.reason;
  stderr.write(`mailshunt: --deadline: ${reason}\n`);
  return "bad";
}

const MIN_DEADLINE_MS = 1_000;

function toText({ hold, drain }: HoldReply): string {
  const held = `${shown(hold.user)} is held until ${formatTime(hold.deadline)}`;
  switch (drain.outcome) {
    case "drained": {
      const { waited_for: waitedFor, cut, settled_ms: settledMs } = drain;
      const waited =
        waitedFor === 0 ? "nothing was under way" : `waited for ${count(waitedFor, "delivery", "deliveries")}`;
      const cutOff = cut === 0 ? "" : `, of which ${cut} cut off before the end of the message`;
      const settled = settledMs === 0 ? "" : `, and ${formatAge(settledMs)} for what had no answer`;
      return `${held}: drained (${waited}${cutOff}${settled})\n`;
    }
    case "under-way": {
      const left = drain.left.map(
        ({ session, backend = "-", stage, age_ms: ageMs }) =>
          `  session ${shown(session)} to ${shown(backend)}: ${stage}, ${formatAge(ageMs)}\n`,
      );
      return `${held}: NOT drained, still under way (hold again to go on waiting):\n${left.join("")}`;
    }
    case "uncertain":
      return `${held}: NOT drained before ${formatTime(drain.until)}: ${shown(drain.why)} (hold again then)\n`;
    case "not-held":
      return `${shown(hold.user)}: NOT drained, for the hold did not last: ${shown(drain.why)} (hold again)\n`;
  }
}

export interface ReleaseFlags extends AdminFlags {
  readonly owner?: string;
  readonly json?: true;
}

interface ReleaseReply {
  readonly user: string;
  readonly released: boolean;
  readonly still_held: boolean;
}

/** `mailshunt release`. @returns 0 when nobody of them is held by this owner any more, whoever else holds them */
export async function runRelease(users: readonly string[], flags: ReleaseFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachNamed(users, io, async (user) => {
      const reply = await client.ask<ReleaseReply>("DELETE", "/v1/holds", { query: { user, owner: flags.owner } });
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : releaseText(reply, flags));
      return EXIT.ok;
    }),
  );
}

function releaseText(
  { user, released, still_held: isStillHeld }: ReleaseReply,
  { owner = "admin" }: ReleaseFlags,
): string {
  const text = released ? "released" : isStillHeld ? `was not held by ${shown(owner)}` : "was not held";
  const others = isStillHeld ? `, and is still held: see \`mailshunt user get ${quoted(user)}\`` : "";
  return `${shown(user)}: ${text}${others}\n`;
}
