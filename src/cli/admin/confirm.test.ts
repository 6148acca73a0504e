import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { AdminRefused } from "../../admin/client.ts";
import type { CommandIo } from "../command-io.ts";
import { confirming } from "./confirm.ts";

const REFUSED = new AdminRefused(409, "Moved elsewhere", "the mailbox is in new");

/** @param typed what somebody at a terminal types; undefined: there is nobody */
async function run(typed: string | undefined, flags: { yes?: true } = {}, refusal = REFUSED) {
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  stdin.end(typed);
  let told = "";
  const stderr = { isTTY: typed !== undefined, write: (text: string) => void (told += text) };
  const io: CommandIo = { stdin, stdout: stderr, stderr };
  const asked: boolean[] = [];
  const outcome = await confirming("ann", flags, io, (isConfirmed) => {
    asked.push(isConfirmed);
    return isConfirmed ? Promise.resolve("done") : Promise.reject(refusal);
  }).catch((error: unknown) => String(error));
  return { outcome, asked, told };
}

const QUESTION = "ann: the mailbox is in new\nDo it all the same? [y/N] ";

for (const typed of ["y\n", "Yes\n", " YES \nmore"])
  test(`somebody who types ${JSON.stringify(typed)} is sure`, async () => {
    assert.deepEqual(await run(typed), { outcome: "done", asked: [false, true], told: QUESTION });
  });

for (const typed of ["n\n", "\n", "", "yes please\n"])
  test(`somebody who types ${JSON.stringify(typed)} is not`, async () => {
    const outcome = "AdminRefused: left as it was";
    assert.deepEqual(await run(typed), { outcome, asked: [false], told: QUESTION });
  });

test("nobody is asked who said so already, or who is not at a terminal", async () => {
  assert.deepEqual(await run(undefined, { yes: true }), { outcome: "done", asked: [true], told: "" });
  const outcome = "AdminRefused: the mailbox is in new. --yes does it all the same";
  assert.deepEqual(await run(undefined), { outcome, asked: [false], told: "" });
});

test("no other refusal is a question", async () => {
  const other = new AdminRefused(409, "Move active", "ann is being moved");
  assert.deepEqual(await run("y\n", {}, other), {
    outcome: "AdminRefused: ann is being moved",
    asked: [false],
    told: "",
  });
});
