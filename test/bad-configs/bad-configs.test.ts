import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { suite, test } from "node:test";
import { runCheck } from "../../src/cli/check.ts";

/** Each `NAME.yaml` here, checked, prints `NAME.txt`. After a change on purpose: UPDATE_EXPECTED=1, then read the diff. */
const FOLDER = import.meta.dirname;
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));

process.env["MAILSHUNT_TEST_EMPTY"] = "";

async function check(path: string): Promise<string> {
  let printed = "";
  const code = await runCheck({ path }, { write: (text) => (printed += text) });
  return `${printed.replaceAll(`${FOLDER}/`, "")}exit ${code}\n`;
}

suite("files with faults", { concurrency: 2 }, () => {
  for (const file of files) {
    test(file, async () => {
      const printed = await check(join(FOLDER, file));
      const expectedPath = join(FOLDER, `${basename(file, ".yaml")}.txt`);
      if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(expectedPath, printed);
      assert.equal(printed, readFileSync(expectedPath, "utf8"));
    });
  }
});

test("every expectation has its file", () => {
  const expected = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));
  assert.deepEqual(
    expected.map((name) => basename(name, ".txt")),
    files.map((name) => basename(name, ".yaml")),
  );
});

test("no expectation shows a secret", () => {
  for (const file of files) assert.doesNotMatch(readFileSync(join(FOLDER, file.replace(/yaml$/, "txt")), "utf8"), /hunter2/);
});
