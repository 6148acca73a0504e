import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { connectLmtp } from "../../test/support/lmtp-client.ts";
import { findFreePorts, run } from "../../test/support/processes.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { followText, until } from "../../test/support/until.ts";
import { firstConfig } from "./demo-config.ts";

const MAILSHUNT = [process.execPath, join(import.meta.dirname, "..", "main.ts")];

const LAST_WORDS = /^Ctrl-C stops all of it\./;

/** A folder whose configuration has been changed already: it listens on ports that are free. */
async function makeFolder(t: TestContext) {
  const folder = scratchFolder(t);
  const ports = await findFreePorts(3);
  const config = ["2424", "2425", "2426"].reduce(
    (text, port, index) => text.replace(port, `${ports[index]}`),
    firstConfig(folder),
  );
  const configPath = join(folder, "mailshunt.yaml");
  writeFileSync(configPath, config);
  return { folder, config, configPath, port: ports[0]!, address: `127.0.0.1:${ports[0]}` };
}

async function startDemo(t: TestContext, [program = "", ...words]: readonly string[]) {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  t.after(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (piece: string) => (output += piece));
  const log = followText("the demo", () => output);
  await log.waitFor(LAST_WORDS);
  return { child, exited, log };
}

async function send(address: string, ...users: readonly string[]): Promise<string> {
  const recipients = users.flatMap((user) => ["--to", `${user}@example.com`]);
  const { stdout } = await run([...MAILSHUNT, "send", ...recipients, address], { input: "Subject: x\n\nx\n" });
  return stdout.replaceAll(/ \(session \w+\)| \d\S+(?= Saved)/g, "");
}

test("delivers into two stores, moves a user at a reload, and Ctrl-C leaves nothing but the mail", async (t) => {
  const { folder, config, configPath, port, address } = await makeFolder(t);
  const { child, exited, log } = await startDemo(t, [...MAILSHUNT, "demo", folder]);
  const mail = (path: string): number => readdirSync(join(folder, path, "Maildir", "new")).length;

  assert.equal(
    await send(address, "ann", "bob", "cleo", "dora", "else"),
    "<cleo@example.com> 450 4.2.1 mail for cleo is on hold, try again later\n" +
      "<dora@example.com> 550 5.7.1 mail for dora is refused\n" +
      "<ann@example.com> 250 2.0.0 <ann@example.com> Saved\n" +
      "<bob@example.com> 250 2.0.0 <bob@example.com> Saved\n" +
      "<else@example.com> 250 2.0.0 <else@example.com> Saved\n",
  );
  assert.deepEqual([mail("old/ann"), mail("new/bob"), mail("old/else")], [1, 1, 1]);

  const changed = config.replace("ann: old", "ann: new");
  writeFileSync(configPath, changed);
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  process.kill(pid, "SIGHUP");
  await log.waitFor(/reload 1 took effect/);
  assert.equal(await send(address, "ann"), "<ann@example.com> 250 2.0.0 <ann@example.com> Saved\n");
  assert.deepEqual([mail("old/ann"), mail("new/ann")], [1, 1]);

  const second = await run([...MAILSHUNT, "demo", folder]);
  assert.equal(
    second.stderr,
    `mailshunt: already running as process ${pid}, says ${folder}/pid\n` +
      "Only one can run here: stop the other one first, with Ctrl-C in its terminal.\n",
  );
  assert.equal(second.code, 71);

  // As it comes under npm: the terminal signals the whole group, and npm passes on what it got.
  const client = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port });
  await client.lhlo();
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  child.kill("SIGINT");
  await log.waitFor(/SIGINT: stopping, 1 client connected/);
  child.kill("SIGINT");
  await client.send("x\r\n.\r\n");
  await client.expect("250 2.0.0 <bob@x>", "421 4.3.2");
  client.end();
  assert.deepEqual(await exited, [0, null]);
  assert.equal(mail("new/bob"), 2);
  const left = readdirSync(folder).filter((name) => !name.startsWith("directory.db"));
  assert.deepEqual(left.toSorted(), ["mailshunt.yaml", "new", "old"]);
  assert.equal(readFileSync(configPath, "utf8"), changed);
});

test("its last words move a user with all mail in one command", async (t) => {
  const { folder, configPath, address } = await makeFolder(t);
  const { child, exited, log } = await startDemo(t, [...MAILSHUNT, "demo", folder]);
  const messages = (path: string): readonly string[] => readdirSync(join(folder, path, "Maildir", "new"));
  await send(address, "ann");
  await send(address, "ann");
  const before = messages("old/ann");
  assert.equal(before.length, 2);

  const command = await log.waitFor(/^ {2}bin\/mailshunt move start .*/);
  const moved = await run([...MAILSHUNT, ...command.trim().split(" ").slice(1)]);
  assert.match(moved.stdout, /\n1 of 1 moved, 0 to go, 0 failed\n$/, moved.stderr);
  assert.equal(moved.code, 0);
  assert.deepEqual(messages("new/ann"), before);

  await send(address, "ann");
  assert.deepEqual([messages("old/ann").length, messages("new/ann").length], [2, 3]);
  child.kill("SIGTERM");
  await exited;

  const again = await startDemo(t, [...MAILSHUNT, "demo", folder]);
  await again.log.waitFor(/^ {2}ann@example\.com +new /);
  await again.log.waitFor(/^ {2}bin\/mailshunt move start .* --to old ann/);
  assert.match(readFileSync(configPath, "utf8"), /^ +ann: old$/m);
  again.child.kill("SIGTERM");
  await again.exited;
});

test("a configuration without a directory, as earlier versions wrote it, goes on working", async (t) => {
  const { folder, config, configPath, address } = await makeFolder(t);
  const [first = ""] = config.split("\n# Who was moved");
  writeFileSync(configPath, first.replace(/^.*protocol: admin.*\n/m, ""));
  const { log } = await startDemo(t, [...MAILSHUNT, "demo", folder]);
  await log.waitFor(/^Then move ann: write "ann: new" into /);
  assert.equal(await send(address, "ann"), "<ann@example.com> 250 2.0.0 <ann@example.com> Saved\n");
});

test("in a folder too deep for a unix socket it routes mail, and is faultless", async (t) => {
  const folder = join(scratchFolder(t), "deep".repeat(25));
  mkdirSync(folder);
  const configPath = join(folder, "mailshunt.yaml");
  writeFileSync(configPath, firstConfig(folder));
  const check = await run([...MAILSHUNT, "check", "-c", configPath]);
  assert.equal(check.stdout, `${configPath}: 0 errors, 0 warnings\n`);
});

test("ends with the process that started it", async (t) => {
  const { folder } = await makeFolder(t);
  const shell = await startDemo(t, ["sh", "-c", '"$@" & wait', "sh", ...MAILSHUNT, "demo", folder]);
  shell.child.kill("SIGKILL");
  await until("the pid file is gone", () => (existsSync(join(folder, "pid")) ? undefined : true));
});

test("writes a faultless configuration first, and says what to do when a port is taken", async (t) => {
  const folder = join(scratchFolder(t), "var");
  const blocker = createServer();
  // Should somebody else have the port, it is taken as well.
  await new Promise<void>((resolve) => blocker.once("error", () => resolve()).listen(2425, "127.0.0.1", resolve));
  t.after(() => blocker.close());
  const demo = await run([...MAILSHUNT, "demo", folder]);
  assert.equal(
    demo.stderr,
    "mailshunt: cannot listen on 127.0.0.1:2425: another process listens there already " +
      '(which one: ss -ltnp "sport = :2425")\n' +
      `Stop what listens there, or write another port into ${folder}/mailshunt.yaml.\n`,
  );
  assert.equal(demo.code, 71);
  assert.equal(existsSync(join(folder, "pid")), false);
  const check = await run([...MAILSHUNT, "check", "-c", join(folder, "mailshunt.yaml")]);
  assert.equal(check.code, 0, check.stdout);
});

test("the daemon's own port is taken", async (t) => {
  const { folder, port, address } = await makeFolder(t);
  const blocker = createServer();
  await new Promise<void>((resolve) => void blocker.listen(port, "127.0.0.1", resolve));
  t.after(() => blocker.close());
  const demo = await run([...MAILSHUNT, "demo", folder]);
  assert.match(demo.stderr, new RegExp(`error: cannot listen on ${address}: another process listens there already`));
  assert.match(demo.stderr, /\nStop what listens there, or write another port into .*\/mailshunt\.yaml\.\n$/);
  assert.equal(demo.code, 71);
});

test("a fault in the configuration is shown, and nothing is started", async (t) => {
  const { folder, config, configPath } = await makeFolder(t);
  writeFileSync(configPath, config.replace("ann: old", "ann: odl"));
  const demo = await run([...MAILSHUNT, "demo", folder]);
  assert.match(
    demo.stderr,
    /mailshunt\.yaml:15:12: "ann": there is no backend "odl".*\n +ann: odl\n +\^\n.*: 1 error, 0 warnings\nCorrect it, or /,
  );
  assert.equal(demo.code, 78);
  assert.deepEqual(readdirSync(folder), ["mailshunt.yaml"]);
});
