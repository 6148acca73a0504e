import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { connectWriter } from "./connect.ts";
import { createOperations } from "./operations.ts";
import { migrate } from "./schema.ts";
import { runGroup } from "./write-group.ts";
import type { WriteRequest, WriteTarget } from "./write-group.ts";

const ACT = { who: "admin", why: "test", atMs: 1 };

function openTarget(t: TestContext): WriteTarget {
  const path = join(scratchFolder(t), "directory.db");
  const db = connectWriter(path);
  t.after(() => db.close());
  migrate(db, path);
  db.exec("PRAGMA journal_mode = WAL");
  return { db, path, operations: createOperations(db) };
}

const set = (id: number, user: string): WriteRequest => ({ id, name: "setUser", args: [user, "old", ACT] });
const countUsers = ({ db }: WriteTarget): unknown => db.prepare("SELECT count(*) AS count FROM users").get()?.["count"];

test("one that fails takes back its own changes alone", (t) => {
  const target = openTarget(t);
  const move = { id: "m", user: "u", from: "old", to: "new", optionsJson: "", state: "planned" };
  const twice: WriteRequest = { id: 2, name: "createMoves", args: [[move, { ...move, user: "v" }], ACT] };
  const replies = runGroup(target, [set(1, "a"), twice, set(3, "b")]);
  assert.deepEqual(replies, [
    { kind: "done", id: 1, value: { kind: "set", from: undefined } },
    { kind: "failed", id: 2, fault: { kind: "range", message: "there is a move m already" } },
    { kind: "done", id: 3, value: { kind: "set", from: undefined } },
  ]);
  assert.equal(countUsers(target), 2);
  assert.deepEqual(target.db.prepare("SELECT count(*) AS count FROM moves").get()?.["count"], 0);
});

test("a full disk fails the whole group, and what comes after there is room again succeeds", (t) => {
  const target = openTarget(t);
  runGroup(target, [set(1, "first")]);
  const pages = Number(target.db.prepare("PRAGMA page_count").get()?.["page_count"]);
  target.db.exec(`PRAGMA max_page_count = ${pages + 2}`);
  const many = Array.from({ length: 500 }, (_, number) => set(number, `${number}`.padStart(500, "x")));
  for (const reply of runGroup(target, many)) {
    assert.ok(reply.kind === "failed" && reply.fault.kind === "directory");
    assert.equal(reply.fault.code, "DIRECTORY_FULL");
    assert.match(reply.fault.message, /the disk is full: make room/);
  }
  assert.equal(countUsers(target), 1);
  target.db.exec("PRAGMA max_page_count = 100000");
  for (const reply of runGroup(target, many)) assert.equal(reply.kind, "done");
  assert.equal(countUsers(target), 501);
});

test("what may not be written says so", (t) => {
  const target = openTarget(t);
  target.db.exec("PRAGMA query_only = ON");
  const [reply] = runGroup(target, [set(1, "u")]);
  assert.ok(reply?.kind === "failed" && reply.fault.kind === "directory");
  assert.equal(reply.fault.code, "DIRECTORY_READ_ONLY");
  assert.match(reply.fault.message, /see its permissions, and whether its file system is read-only/);
});

test("a lock of another program is waited for, and then named", (t) => {
  const target = openTarget(t);
  const other = connectWriter(target.path);
  t.after(() => other.close());
  other.exec("BEGIN IMMEDIATE");
  target.db.exec("PRAGMA busy_timeout = 10");
  const [reply] = runGroup(target, [set(1, "u")]);
  assert.ok(reply?.kind === "failed" && reply.fault.kind === "directory");
  assert.equal(reply.fault.code, "DIRECTORY_BUSY");
  other.exec("ROLLBACK");
  assert.equal(runGroup(target, [set(2, "u")])[0]?.kind, "done");
});

test("a piece of an import ends early where others wait for their turn, and gets on all the same", (t) => {
  const { db } = openTarget(t);
  const packed = Array.from({ length: 100_000 }, (_, number) => `u${number}\0old`).join("\0");
  const piece = { packed, isDryRun: false, respectMovesTo: [] };
  const { taken } = createOperations(db, () => true).importUsers(piece, ACT);
  assert.ok(taken > 0 && taken < 100_000, `${taken}`);
});
