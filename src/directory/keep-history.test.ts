import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { DirectoryFailed } from "./directory-failed.ts";
import { keepHistory } from "./keep-history.ts";

const DAY_MS = 86_400_000;

test("what is too old is forgotten ten minutes after the start and then each day, by the option of that time", async () => {
  const clock = createFakeClock();
  const startMs = clock.wallMs();
  const asked: number[] = [];
  const said: string[] = [];
  let keepMs: number | undefined = 90 * DAY_MS;
  let outcome = (): Promise<{ changes: number; moves: number }> => Promise.resolve({ changes: 2, moves: 1 });
  const end = keepHistory({
    directory: {
      forget(beforeMs) {
        asked.push(beforeMs - startMs);
        return outcome();
      },
    },
    keepMs: () => keepMs,
    clock,
    say: (level, text) => said.push(`${level}: ${text}`),
  });
  const wait = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await turn();
  };
  await wait(599_999);
  assert.deepEqual(asked, []);
  await wait(1);
  assert.deepEqual(asked, [600_000 - 90 * DAY_MS]);
  assert.deepEqual(said, ["info: forgot 2 changes and 1 moves: directory.keep_history"]);

  keepMs = undefined;
  await wait(DAY_MS);
  assert.equal(asked.length, 1);

  keepMs = DAY_MS;
  outcome = () => Promise.reject(new DirectoryFailed("DIRECTORY_FULL", "the disk is full"));
  await wait(DAY_MS);
  assert.equal(asked.at(-1), 600_000 + DAY_MS);
  assert.match(said.at(-1) ?? "", /^warning: old changes and moves are not forgotten, .* the disk is full$/);

  outcome = () => Promise.resolve({ changes: 0, moves: 0 });
  await wait(DAY_MS);
  assert.deepEqual([asked.length, said.length], [3, 2]);
  end();
  await wait(DAY_MS);
  assert.equal(asked.length, 3);
});
