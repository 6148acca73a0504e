import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { tellBatchEnd } from "./batch-end.ts";

test("who failed is in a file that is gone once all are moved; a single move needs none", (t) => {
  const path = join(scratchFolder(t), "moves", "b1.failed");
  const said: string[] = [];
  const say = (level: string, text: string): void => void said.push(`${level} ${text}`);
  const failed = [
    { moveId: "b1-2", user: "ann@example.com", phase: "failed" as const },
    { moveId: "b1-7", user: 'o "x", y', phase: "rolled-back" as const },
  ];
  tellBatchEnd({ id: "b0", total: 1, active: 0, done: 0, failed: failed.slice(0, 1) }, path, say);
  assert.deepEqual([said, existsSync(path)], [[], false]);

  tellBatchEnd({ id: "b1", total: 9, active: 0, done: 7, failed }, path, say);
  assert.equal(
    readFileSync(path, "utf8"),
    '# user,what came of it,move\nann@example.com,failed,b1-2\n"o ""x"", y",rolled-back,b1-7\n',
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);

  tellBatchEnd({ id: "b1", total: 9, active: 0, done: 9, failed: [] }, path, say);
  assert.equal(existsSync(path), false);
  const file = join(scratchFolder(t), "no-folder");
  writeFileSync(file, "");
  tellBatchEnd({ id: "b2", total: 2, active: 0, done: 1, failed }, join(file, "b2.failed"), say);
  assert.deepEqual(said.slice(0, 2), [
    `warning batch b1 has ended: 7 of 9 done, 2 failed: see ${path}`,
    "notice batch b1 has ended: 9 of 9 done",
  ]);
  assert.match(
    said[2] ?? "",
    /^warning batch b2 has ended: 1 of 2 done, 2 failed; who cannot be written to .*(ENOTDIR|EEXIST)/,
  );
});
