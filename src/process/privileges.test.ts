import assert from "node:assert/strict";
import { test } from "node:test";
import { findIdentity } from "./privileges.ts";

const uid = process.geteuid?.() ?? 0;
const gid = process.getegid?.() ?? 0;

test("nobody asked for, or who we are already: nothing to do", async () => {
  assert.equal(await findIdentity(undefined, undefined), undefined);
  assert.equal(await findIdentity(String(uid), String(gid)), undefined);
});

test("names that do not exist are named", async () => {
  await assert.rejects(findIdentity("nosuchuser", undefined), {
    message: 'process.user: there is no user "nosuchuser"',
  });
  await assert.rejects(findIdentity(undefined, "nosuchgroup"), {
    message: 'process.group: there is no group "nosuchgroup"',
  });
  await assert.rejects(findIdentity("3999999999", undefined), {
    message: "process.group is needed: user id 3999999999 has no account",
  });
});

test("root becomes anybody, others nobody else", async () => {
  if (uid === 0) {
    const nobody = await findIdentity("nobody", undefined);
    assert.equal(nobody?.name, "nobody");
    assert.deepEqual(await findIdentity("nobody", "3999999999"), { ...nobody, gid: 3_999_999_999 });
    assert.deepEqual(await findIdentity(undefined, "3999999999"), { name: undefined, uid: 0, gid: 3_999_999_999 });
  } else
    await assert.rejects(findIdentity("root", undefined), /only root may change that: start as root, or as that user$/);
});
