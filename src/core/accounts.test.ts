import assert from "node:assert/strict";
import { test } from "node:test";
import { findGroup, findUser } from "./accounts.ts";

test("users by name and number", async () => {
  assert.deepEqual(await findUser("root"), { name: "root", uid: 0, gid: 0 });
  assert.deepEqual(await findUser("0"), { name: "root", uid: 0, gid: 0 });
  assert.equal((await findUser("nobody"))?.name, "nobody");
});

test("a number no account has stays a number; a name no account has is nobody", async () => {
  assert.deepEqual(await findUser("3999999999"), { name: undefined, uid: 3_999_999_999, gid: undefined });
  for (const name of ["nosuchuser", "", "-1", "--help", "root:x", "roo"]) assert.equal(await findUser(name), undefined);
});

test("groups by name and number", async () => {
  assert.deepEqual(await findGroup("root"), { gid: 0 });
  assert.deepEqual(await findGroup("3999999999"), { gid: 3_999_999_999 });
  for (const name of ["nosuchgroup", "", "--help"]) assert.equal(await findGroup(name), undefined);
});
