import assert from "node:assert/strict";
import { ADMIN, directoryTests } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";

export function testBackends(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("a backend stays out of service until it is enabled", async ({ directory, clock, place }) => {
    const sinceMs = clock.wallMs();
    assert.deepEqual(directory.backends.disabled(), []);
    assert.equal(await directory.backends.setDisabled("old", true, { who: "ann", why: "disk" }), true);
    clock.advance(5);
    // Who was first has the word: since then mail waits.
    assert.equal(await directory.backends.setDisabled("old", true, ADMIN), false);
    assert.equal(await directory.backends.setDisabled("another", true, ADMIN), true);
    const wanted = [
      { backend: "another", sinceMs: sinceMs + 5, ...ADMIN },
      { backend: "old", sinceMs, who: "ann", why: "disk" },
    ];
    assert.deepEqual(directory.backends.disabled(), wanted);

    const reader = place.openReader();
    try {
      assert.deepEqual(reader.backends.disabled(), wanted);
      assert.equal(await directory.backends.setDisabled("another", false, ADMIN), true);
      assert.deepEqual(reader.backends.disabled(), wanted.slice(1));
    } finally {
      await reader.close();
    }
    assert.equal(await directory.backends.setDisabled("another", false, ADMIN), false);
    await directory.close();
    const again = await place.open(clock);
    assert.deepEqual(again.backends.disabled(), wanted.slice(1));
    await again.close();
  });

  directoryTest("what is no name cannot be disabled", async ({ directory }) => {
    await assert.rejects(directory.backends.setDisabled("", true, ADMIN), TypeError);
    await assert.rejects(directory.backends.setDisabled("a\0", true, ADMIN), TypeError);
    assert.deepEqual(directory.backends.disabled(), []);
  });
}
