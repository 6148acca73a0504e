import type { SwitchResult } from "../../directory/directory.ts";
import type { MoveEntry } from "../move.ts";
import type { Cutover } from "../steps/act.ts";
import { authorOf, persistenceOf } from "./context.ts";
import type { ActContext } from "./context.ts";
import { isOutcomeUnknown, toStep, wasWritten } from "./journal.ts";
import { persist } from "./wait.ts";

export type Switched =
  /** The entry stands in the journal, with the cutover or not at all. */
  { readonly kind: "switched" } | { readonly kind: "failed"; readonly reason: string };

/**
 * The cutover, in one transaction with its entries.
 * @param position of the last entry that was written
 * @param entries those that led to it, and that of the switch itself
 * @throws Stopped
 */
export async function performSwitch(
  cutover: Cutover,
  context: ActContext,
  position: number,
  entries: readonly MoveEntry[],
): Promise<Switched> {
  const { outside } = cutover;
  // Once the outside table has the new backend there is no way back: nothing but a failed hold ends the tries.
  if (outside !== undefined)
    return persist("the switch has to be written", persistenceOf(context), async () => {
      if (wasWritten(context.parts.directory, context.subject.moveId, position)) return { kind: "switched" };
      return toSwitched(await commit(cutover, context, entries));
    });
  const { directory, clock } = context.parts;
  const latest = directory.uncertain.latest(context.subject.user);
  // What is yet to come by a clock that was set back, the drain has waited for.
  if (latest !== undefined && latest.atMs >= cutover.drainedMs && latest.atMs <= clock.wallMs())
    return { kind: "failed", reason: "a delivery has become uncertain since the drain" };
  try {
    return toSwitched(await commit(cutover, context, entries));
  } catch (error) {
    if (!isOutcomeUnknown(error)) return { kind: "failed", reason: `the switch: ${String(error)}` };
    const isWritten = await persist("the journal has to be read", persistenceOf(context), async () =>
      wasWritten(directory, context.subject.moveId, position),
    );
    return isWritten ? { kind: "switched" } : { kind: "failed", reason: `the switch: ${String(error)}` };
  }
}

function commit(
  cutover: Cutover,
  { parts, subject }: ActContext,
  entries: readonly MoveEntry[],
): Promise<SwitchResult> {
  const { generation, outside } = cutover;
  return parts.directory.moves.switch(
    {
      moveId: subject.moveId,
      backend: outside === undefined ? subject.to : undefined,
      generation,
      nowMs: outside?.atMs ?? parts.clock.wallMs(),
      step: toStep(entries),
    },
    authorOf(subject),
  );
}

function toSwitched(result: SwitchResult): Switched {
  if (result.kind === "switched") return { kind: "switched" };
  switch (result.why) {
    case "gone":
      return { kind: "failed", reason: "the hold was gone before the switch" };
    case "replaced":
      return { kind: "failed", reason: "the hold is not the one that was drained" };
    case "expired":
      return { kind: "failed", reason: "the hold's deadline has passed before the switch" };
  }
}
