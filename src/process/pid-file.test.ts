import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { checkPidFile, claimPidFile } from "./pid-file.ts";

const OWN = `${process.pid}\n`;

/** A live process whose command line is `sleep`'s, but for its name. */
async function startNamed(t: { after(clean: () => void): void }, name: string): Promise<ChildProcess> {
  const child = spawn("sleep", ["600"], { argv0: name });
  await once(child, "spawn");
  t.after(() => child.kill());
  return child;
}

test("holds our pid, for all to read, and is removed", (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "pid");
  const file = claimPidFile(path);
  assert.equal(readFileSync(path, "latin1"), OWN);
  assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.deepEqual(readdirSync(folder), ["pid"]);
  file.remove();
  assert.deepEqual(readdirSync(folder), []);
});

for (const name of ["/usr/bin/mailshunt", "lmtp-proxy"])
  test(`refused while ${name} lives, and cleaned when it does not`, async (t) => {
    const path = join(scratchFolder(t), "pid");
    const child = await startNamed(t, name);
    writeFileSync(path, `${child.pid}\n`);
    const message = `already running as process ${child.pid}, says ${path}`;
    assert.throws(() => checkPidFile(path), { message });
    assert.throws(() => claimPidFile(path), { message });
    assert.equal(readFileSync(path, "latin1"), `${child.pid}\n`);
    child.kill("SIGKILL");
    await once(child, "exit");
    checkPidFile(path);
    claimPidFile(path).remove();
  });

test("refused while this very program lives, started by a relative path", async (t) => {
  const path = join(scratchFolder(t), "pid");
  const program = process.argv[1] ?? "";
  const child = spawn("sleep", ["600"], { argv0: basename(program), cwd: dirname(program) });
  await once(child, "spawn");
  t.after(() => child.kill());
  writeFileSync(path, `${child.pid}\n`);
  assert.throws(() => checkPidFile(path), { message: `already running as process ${child.pid}, says ${path}` });
});

test("the pid of a stranger, our own from before a restart, and an empty file are stale", async (t) => {
  const path = join(scratchFolder(t), "pid");
  const stranger = await startNamed(t, "sleep");
  for (const text of [`${stranger.pid}\n`, OWN, "", "0\n", "9999999999\n"]) {
    writeFileSync(path, text);
    checkPidFile(path);
    claimPidFile(path);
    assert.equal(readFileSync(path, "latin1"), OWN);
  }
});

test("a file that is no pid file is left alone", (t) => {
  const path = join(scratchFolder(t), "precious");
  writeFileSync(path, "letter to the editor");
  assert.throws(() => claimPidFile(path), { message: `${path} holds no process id; it is left alone` });
  assert.equal(readFileSync(path, "latin1"), "letter to the editor");
});

test("what is missing is named", (t) => {
  const folder = scratchFolder(t);
  assert.throws(() => claimPidFile(join(folder, "run", "pid")), {
    message: `the folder ${folder}/run for the pid file does not exist: create it`,
  });
  mkdirSync(join(folder, "pid"));
  assert.throws(() => claimPidFile(join(folder, "pid")), { code: "PID_FILE_REFUSED" });
});

test("a link where the draft goes is removed, not followed", (t) => {
  const folder = scratchFolder(t);
  const [path, precious] = [join(folder, "pid"), join(folder, "precious")];
  writeFileSync(precious, "letter to the editor");
  symlinkSync(precious, `${path}.${process.pid}`);
  claimPidFile(path);
  assert.equal(readFileSync(precious, "latin1"), "letter to the editor");
  assert.equal(readFileSync(path, "latin1"), OWN);
  assert.deepEqual(readdirSync(folder).sort(), ["pid", "precious"]);
});

test("another's pid is not removed at our end", (t) => {
  const path = join(scratchFolder(t), "pid");
  const file = claimPidFile(path);
  writeFileSync(path, "1\n");
  file.remove();
  assert.equal(existsSync(path), true);
});
