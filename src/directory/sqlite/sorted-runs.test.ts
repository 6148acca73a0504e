import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { mergeRuns, spill, userOf } from "./sorted-runs.ts";

const toRun = (run: ReadonlyMap<string, string>): string[] =>
  [...run.keys()].sort().map((user) => `${user}\0${run.get(user) ?? ""}`);

test("runs are merged in the order of keys, and the last entry of each user counts", () => {
  const user = fc.oneof(
    fc.constantFrom("a", "aa", "a\u0001", "b", "\u00e4", "\ud7ff", "\uffff", "\u{1f600}"),
    fc.stringMatching(/^[ab]{1,4}$/),
  );
  const run = fc.array(fc.tuple(user, fc.constantFrom("old", "new", "third")), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(run, { maxLength: 6 }), (given) => {
      const runs = given.map((entries) => new Map(entries));
      const model = new Map(runs.flatMap((entries) => [...entries]));
      let repeated = 0;
      const merged = [...mergeRuns(runs.map(toRun), () => (repeated += 1))];
      assert.deepEqual(merged, toRun(model));
      assert.equal(repeated, runs.reduce((sum, entries) => sum + entries.size, 0) - model.size);
    }),
    { numRuns: 2_000 },
  );
});

test("what went into a file comes back, wherever it was cut, and the file is not seen", (t) => {
  const folder = scratchFolder(t);
  // Of many lengths, in characters of one to four bytes: 3 MB, so that pieces of both sizes end anywhere.
  const entries = Array.from({ length: 20_000 }, (_, number) => {
    const padding = "a\u00e4\u20ac\u{1f600}".slice(0, number % 7);
    return `${String(number).padStart(6, "0")}${padding.toWellFormed().repeat(number % 50)}\0backend${number % 3}`;
  });
  const files = [entries, [], entries.slice(0, 1)].map((run) => [run, spill(join(folder, "import"), run)] as const);
  assert.deepEqual(readdirSync(folder), []);
  for (const [run, read] of files) assert.ok([...read].join() === run.join());
  assert.equal(userOf(entries[3] ?? ""), (entries[3] ?? "").split("\0")[0]);
});
