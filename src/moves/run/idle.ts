import type { MoveEvent } from "../move.ts";
import type { Act } from "../steps/act.ts";
import type { CommandKind, MoveSubject } from "../tools.ts";
import type { RunParts } from "./context.ts";

/**
 * What comes of an act where there is nothing to do, because nothing of that kind is configured; undefined where there is.
 * Its entry needs no commit of its own: nothing happens between it and the one before.
 */
export function outcomeOfIdle(
  act: Act,
  subject: MoveSubject,
  { commands, checks }: Pick<RunParts, "commands" | "checks">,
): MoveEvent | undefined {
  const unless = (what: CommandKind, outcome: MoveEvent): MoveEvent | undefined =>
    commands.has(what, subject) ? undefined : outcome;
  switch (act.kind) {
    case "sync":
      return unless(act.which, { kind: "synced", tookMs: 0, isLast: true });
    case "lock":
      return unless("lock", { kind: "locked" });
    case "kick":
      return unless("kick", { kind: "kicked", hasCommand: false });
    case "check-sessions":
      return unless("sessions", { kind: "no-sessions", isKnown: false });
    case "unlock":
      return unless("unlock", { kind: "unlocked", warnings: [] });
    case "compare": {
      const text = checks.whyNotCompared();
      return text === undefined ? undefined : { kind: "compared", differences: 0, text };
    }
    case "probe":
    case "stop-commands":
    case "wait-for-logins":
    case "hold":
    case "switch":
    case "write-outside":
    case "read-outside":
    case "release":
      return undefined;
  }
}
