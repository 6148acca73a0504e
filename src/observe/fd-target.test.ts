import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  openSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { textOf } from "../../test/support/file-text.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { openFileTarget } from "./fd-target.ts";
import type { LogTarget } from "./log-target.ts";

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

const IS_ROOT = process.geteuid?.() === 0;
const HEIR = IS_ROOT
  ? { uid: 65_534, gid: 65_534 }
  : { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 };

test("a log that root opens is the heir's, old or new", async (t) => {
  const folder = scratchFolder(t);
  writeFileSync(join(folder, "old"), "before\n");
  for (const name of ["old", "new"]) {
    const path = join(folder, name);
    const target = openFileTarget(path, HEIR);
    target.sendNow(Buffer.from("line\n"));
    await target.close();
    assert.deepEqual([statSync(path).uid, statSync(path).gid], [HEIR.uid, HEIR.gid]);
  }
  assert.equal(textOf(join(folder, "old")), "before\nline\n");
});

test("root neither writes through a link of the heir's nor gives its target away", async (t) => {
  const folder = scratchFolder(t);
  const precious = join(folder, "precious");
  writeFileSync(precious, "root's\n", { mode: 0o600 });
  const mine = statSync(precious).uid;
  symlinkSync(precious, join(folder, "symbolic"));
  symlinkSync(join(folder, "not-yet"), join(folder, "dangling"));
  linkSync(precious, join(folder, "hard"));
  for (const [name, what] of [
    ["symbolic", "it is a symbolic link"],
    ["dangling", "it is a symbolic link"],
    ["hard", "it has a second name, by a hard link"],
  ]) {
    const path = join(folder, name ?? "");
    const open = (): LogTarget => openFileTarget(path, HEIR);
    if (IS_ROOT)
      assert.throws(open, {
        code: "CANNOT_OPEN_LOG",
        message:
          `${path} cannot be opened: ${what}, which root does not follow for a log that it gives to ` +
          "process.user: name the file itself",
      });
    else await open().close(); // whose rights are no more than the heir's
    assert.deepEqual([statSync(precious).uid, textOf(precious)], [mine, "root's\n"]);
  }
  assert.equal(existsSync(join(folder, "not-yet")), !IS_ROOT);
  // What nobody inherits, an administrator may link to where the log is.
  await openFileTarget(join(folder, "symbolic")).close();
});

test("a pipe, and a file of a third user, stay whose they are", async (t) => {
  const folder = scratchFolder(t);
  const [pipe, theirs] = [join(folder, "pipe"), join(folder, "theirs")];
  execFileSync("mkfifo", [pipe]);
  writeFileSync(theirs, "");
  if (IS_ROOT) chownSync(theirs, 1, 1);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  for (const path of [pipe, theirs]) {
    const { uid } = statSync(path);
    const target = openFileTarget(path, HEIR);
    assert.equal(target.sendNow(Buffer.from("line\n")), 5);
    await target.close();
    assert.equal(statSync(path).uid, uid);
  }
});
