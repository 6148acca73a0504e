import assert from "node:assert/strict";
import { test } from "node:test";
import { composeYaml } from "./compose.ts";

for (const text of ["\na:b\nc: d\n", "\n\n\na:b\nc: d\n", "# x\n\na:b\nc: d\n", "\n  x\ny: z\n- a\n"])
  test(`the search for a glued colon ends at the beginning of ${JSON.stringify(text)}`, () => {
    assert.ok(composeYaml(text, () => false).faults.length > 0);
  });
