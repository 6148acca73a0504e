import { parseEvents, YAMLException } from "js-yaml";
import type { Event } from "js-yaml";
import { Composer } from "./composer.ts";
import type { Composed, IsBulk } from "./composer.ts";
import { liftNothing, liftTables } from "./lift.ts";
import type { LiftedText, LiftLimits } from "./lift.ts";
import { describeSyntaxError } from "./syntax-fault.ts";

/** Deepest nesting of collections. No option of ours lies deeper than five. */
const MAX_DEPTH = 32;

/**
 * @param limits from how many lines on a table is read by hand: see `liftTables`
 * @param bulkValue what stands as a value in a huge mapping, in the words of a fault
 * @throws never: what is wrong with the text stands in `faults`
 */
export function composeYaml(text: string, isBulk: IsBulk, limits?: LiftLimits, bulkValue = "one name"): Composed {
  const composed = composeLifted(liftTables(text, limits), isBulk, bulkValue);
  return (
    composed ?? composeLifted(liftNothing(text), isBulk, bulkValue) ?? { root: undefined, faults: [], duplicates: [] }
  );
}

/** Undefined if lines were cut out that are no entries of a table: then the text must be parsed whole. */
function composeLifted(lifted: LiftedText, isBulk: IsBulk, bulkValue: string): Composed | undefined {
  let events: Event[];
  try {
    events = parseEvents(lifted.text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    if (lifted.tables.size > 0) return undefined;
    return { root: undefined, faults: [describeSyntaxError(lifted.text, error)], duplicates: [] };
  }
  return new Composer(lifted, events, isBulk, bulkValue).compose();
}
