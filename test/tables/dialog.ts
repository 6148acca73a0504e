import { test } from "node:test";
import { serveTables } from "./served.ts";
import type { ServedOptions } from "./served.ts";

/** `C` is what the client sends, `S` exactly what the server answers to it, one character a byte. */
export type DialogStep =
  | { readonly C: string }
  | { readonly S: string }
  /** It says no more, and still reads. */
  | "client ends"
  | "server closes";

export interface Dialog {
  readonly name: string;
  readonly steps: readonly DialogStep[];
}

/** How many bytes the client sends at once, each time waiting until they are read: an infinity sends all of a step. */
const CUTS = [1, 2, 5, Infinity];

/**
 * Plays a dialog several times, each on a server and tables of its own: with the client's bytes cut in every way, and
 * with all that it says sent before anything is read.
 */
export function testDialog({ name, steps }: Dialog, options: () => ServedOptions): void {
  for (const cut of CUTS)
    test(`${name}, ${cut === Infinity ? "a step" : cut} at a time`, async (t) => {
      const { connect } = await serveTables(t, options());
      const client = await connect();
      for (const step of steps) {
        if (step === "client ends") client.end();
        else if (step === "server closes") await client.expectEnd();
        else if ("S" in step) await client.expect(step.S);
        else for (const piece of pieces(step.C, cut)) await client.send(piece);
      }
      await endWell(client, steps);
    });
  test(`${name}, all at once`, async (t) => {
    const { connect } = await serveTables(t, options());
    const client = await connect();
    client.socket.write(Buffer.from(steps.map((step) => (has(step, "C") ? step.C : "")).join(""), "latin1"));
    if (steps.includes("client ends")) client.end();
    for (const step of steps) if (has(step, "S")) await client.expect(step.S);
    if (steps.includes("server closes")) await client.expectEnd();
    else await endWell(client, steps);
  });
}

/** Whatever was not expected would come now. */
async function endWell(
  client: { end(): void; expectEnd(): Promise<void> },
  steps: readonly DialogStep[],
): Promise<void> {
  if (steps.at(-1) === "server closes") return;
  client.end();
  await client.expectEnd();
}

const has = <Key extends "C" | "S">(step: DialogStep, key: Key): step is Extract<DialogStep, Record<Key, string>> =>
  typeof step !== "string" && key in step;

function pieces(bytes: string, cut: number): readonly string[] {
  if (cut === Infinity) return [bytes];
  return Array.from({ length: Math.ceil(bytes.length / cut) }, (_, index) =>
    bytes.slice(index * cut, (index + 1) * cut),
  );
}
