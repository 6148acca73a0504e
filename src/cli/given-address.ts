import { bad, ok } from "../core/units.ts";
import type { Parsed } from "../core/units.ts";

/** Longest path that the daemon takes, in bytes. */
const MAX_ADDRESS_BYTES = 1000;

const CONTROL = "\\x00-\\x1f\\x7f";
const QUOTED = new RegExp(`"(?:[^"\\\\${CONTROL}]|\\\\[ -~])*"`, "g");

/** What makes the daemon answer 501 to an address, outside of quoted parts. In the order in which it is told. */
const FAULTS: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`[${CONTROL}]`), "it has a control character"],
  [/"/, "a quote in it is not closed"],
  [/[<>]/, "it has a bracket that belongs to nothing"],
  [/ /, "it has a blank outside of quotes"],
  [/\\/, "it has a backslash outside of quotes"],
];

/** An address of a command line, without the brackets that it has in logs; only what the daemon takes over the wire. */
export function readGivenAddress(given: string): Parsed<string> {
  const address = /^<.*>$/s.test(given) ? given.slice(1, -1) : given;
  if (address === "") return bad("it is empty");
  if (Buffer.byteLength(address) > MAX_ADDRESS_BYTES) return bad(`it is longer than ${MAX_ADDRESS_BYTES} bytes`);
  const unquoted = address.replaceAll(QUOTED, "");
  const fault = FAULTS.find(([pattern]) => pattern.test(unquoted));
  return fault === undefined ? ok(address) : bad(fault[1]);
}
