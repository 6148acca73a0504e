import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { textOf } from "../../test/support/file-text.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";

const PROGRAM = `
import { openStderrTarget } from ${JSON.stringify(new URL("./fd-target.ts", import.meta.url).href)};
openStderrTarget().sendNow(Buffer.from("from the log\\n"));
`;

test("a file that others write to as well keeps everybody's lines", async (t) => {
  const path = join(scratchFolder(t), "out");
  // Without O_APPEND, as a shell opens it for `>`.
  const file = openSync(path, "w");
  t.after(() => closeSync(file));
  const script = 'echo before >&2; "$0" --input-type=module -e "$1"; echo after >&2';
  const shell = spawn("sh", ["-c", script, process.execPath, PROGRAM], { stdio: ["ignore", "ignore", file] });
  assert.deepEqual(await once(shell, "exit"), [0, null]);
  assert.equal(textOf(path), "before\nfrom the log\nafter\n");
});
