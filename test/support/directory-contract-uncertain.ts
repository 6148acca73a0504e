import assert from "node:assert/strict";
import { directoryTests } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";

export function testUncertain(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest(
    "the newest uncertain delivery of a user is found, or what concerns everyone",
    async ({ directory }) => {
      const { uncertain } = directory;
      const delivery = { user: "u", backend: "old", session: "s1", atMs: 20 };
      assert.equal(uncertain.latest("u"), undefined);
      await uncertain.add(delivery);
      await uncertain.add({ ...delivery, session: "s0", atMs: 10 });
      await uncertain.add({ ...delivery, user: "v", atMs: 90 });
      assert.deepEqual(uncertain.latest("u"), { kind: "delivery", ...delivery });
      assert.equal(uncertain.latest("w"), undefined);
      await uncertain.addEveryone(15, "a worker died");
      assert.deepEqual(uncertain.latest("u"), { kind: "delivery", ...delivery });
      assert.deepEqual(uncertain.latest("w"), { kind: "everyone", atMs: 15, why: "a worker died" });
      await uncertain.addEveryone(30, "another one");
      assert.deepEqual(uncertain.latest("u"), { kind: "everyone", atMs: 30, why: "another one" });
    },
  );

  directoryTest("uncertain deliveries are forgotten by their age", async ({ directory }) => {
    const { uncertain } = directory;
    for (const atMs of [10, 20, 30]) {
      await uncertain.add({ user: "u", backend: "old", session: `s${atMs}`, atMs });
      await uncertain.addEveryone(atMs + 1, "a worker died");
    }
    assert.equal(await uncertain.forget(30), 4);
    assert.equal(await uncertain.forget(30), 0);
    assert.equal(uncertain.latest("u")?.atMs, 31);
    assert.equal(await uncertain.forget(31), 1);
    assert.deepEqual(uncertain.latest("u"), { kind: "everyone", atMs: 31, why: "a worker died" });
    assert.equal(await uncertain.forget(32), 1);
    assert.equal(uncertain.latest("u"), undefined);
  });
}
