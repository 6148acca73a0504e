import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { FakeClock } from "../../../test/support/fake-clock.ts";
import { until } from "../../../test/support/until.ts";
import type { MoveEvent } from "../move.ts";
import type { ActContext } from "./context.ts";
import { readOutside } from "./perform-outside.ts";

const SETTLE_MS = 10_000;

interface Reading {
  readonly clock: FakeClock;
  readonly alarms: string[];
  readonly event: Promise<MoveEvent>;
}

/** Reads a table after a write of which nobody knows what has become. @param read what it says */
function startReading(read: (clock: FakeClock) => Promise<string>): Reading {
  const clock = createFakeClock();
  const alarms: string[] = [];
  const outside = {
    table: "users",
    settleMs: SETTLE_MS,
    read: async () => ({ kind: "found", backend: await read(clock) }),
    forget: () => Promise.resolve(),
  };
  const context = {
    parts: { clock, outside },
    subject: { user: "ann", from: "old", to: "new" },
    signal: new AbortController().signal,
    alarm: (text: string) => alarms.push(text),
  } as unknown as ActContext;
  const act = { kind: "read-outside", before: "old", writtenMs: clock.wallMs(), isRefused: false } as const;
  return { clock, alarms, event: readOutside(act, context) };
}

test("an answer that was asked for while a write was under way does not count, however late it comes", async () => {
  let value = "old";
  const { clock, alarms, event } = startReading(async (clock) => {
    const said = value;
    // The write arrives just after the read, whose answer takes long.
    value = "new";
    clock.advance(SETTLE_MS);
    return said;
  });
  await until("it was asked", () => alarms[0]);
  clock.advance(SETTLE_MS);
  assert.deepEqual(await event, { kind: "outside-read", value: "new" });
});

test("a clock that is set ahead ends no wait for a write", async () => {
  let value = "old";
  const { clock, alarms, event } = startReading(async () => value);
  clock.setWall(clock.wallMs() + 3_600_000);
  await until("it was asked", () => alarms[0]);
  clock.advance(1_000);
  await until("it was asked again", () => alarms[1]);
  value = "new";
  clock.advance(1_000);
  assert.deepEqual(await event, { kind: "outside-read", value: "new" });
});

test("the old value counts once no write can be under way", async () => {
  const { clock, alarms, event } = startReading(async () => "old");
  await until("it was asked", () => alarms[0]);
  clock.setWall(clock.wallMs() - 3_600_000);
  clock.advance(SETTLE_MS);
  assert.deepEqual(await event, { kind: "outside-read", value: "old" });
});
