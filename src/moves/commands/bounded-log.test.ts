import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { until } from "../../../test/support/until.ts";
import { MAX_LOG_BYTES, watchLog } from "./bounded-log.ts";

test("a log is cut while it is written to, again and again, and what comes after stands at its end", async (t) => {
  const clock = createFakeClock();
  const path = join(scratchFolder(t), "log");
  const file = openSync(path, "a");
  t.after(() => closeSync(file));
  const write = (text: string): void => void writeSync(file, text);
  write("the beginning\n");
  const end = watchLog(path, clock);
  for (const round of [1, 2, 3]) {
    write("x".repeat(MAX_LOG_BYTES));
    write(`\nround ${round}\n`);
    clock.advance(1_000);
    await until("the next look is due", () => (clock.pendingTimers === 1 ? true : undefined));
    const text = readFileSync(path, "latin1");
    assert.match(text, /^the beginning\nx+\n--- \d+ bytes are left out here: no log may be longer than 8388608\n/);
    assert.ok(text.endsWith(`x\nround ${round}\n`));
  }
  write("the end\n");
  await end();
  assert.ok(readFileSync(path, "latin1").endsWith("round 3\nthe end\n"));
});

test("a log that cannot be read is no fault", async (t) => {
  const end = watchLog(join(scratchFolder(t), "none"), createFakeClock());
  await end();
});
