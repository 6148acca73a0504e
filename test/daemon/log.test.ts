import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, closeSync, fstatSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MAIN, writeConfig } from "../support/daemon-process.ts";
import { installFakeLogger } from "../support/fake-logger.ts";
import { textOf, waitForFileText } from "../support/file-text.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startSetting } from "./setting.ts";

const STORE = { old: 'lmtp: "unix:/nonexistent/old"' };

test("a rotation: SIGHUP goes on in a new file, also while the configuration is faulty", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "log");
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: STORE,
    more: [`log: { to: ${path} }`],
  });
  const daemon = spawn(process.execPath, [MAIN, "serve", "-c", config], { stdio: "ignore" });
  t.after(() => daemon.kill("SIGKILL"));
  await waitForFileText(path, /is ready/);
  for (const [number, isFaulty] of [
    [1, false],
    [2, true],
  ] as const) {
    if (isFaulty) appendFileSync(config, "colour: red\n");
    renameSync(path, `${path}.${number}`);
    daemon.kill("SIGHUP");
    await waitForFileText(path, new RegExp(`reload ${number} ${isFaulty ? "failed" : "took effect"}`));
    assert.doesNotMatch(textOf(`${path}.${number}`), new RegExp(`reload ${number} (?:failed|took effect)`));
  }
});

test("syslog: the logger outlives the Ctrl-C that we share a terminal with, and gets our last words", async (t) => {
  const folder = scratchFolder(t);
  const logger = installFakeLogger(folder);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: STORE,
    more: ["log: { to: syslog }"],
  });
  const daemon = spawn(process.execPath, [MAIN, "serve", "-c", config], {
    stdio: "ignore",
    detached: true, // a process group to send the signal to, as a terminal does
    env: { ...process.env, PATH: `${logger.binFolder}:${process.env["PATH"]}` },
  });
  const { pid } = daemon;
  assert.ok(pid !== undefined);
  t.after(() => daemon.kill("SIGKILL"));
  await waitForFileText(logger.linesPath, /^<21>mailshunt \S+ is ready/m);
  process.kill(-pid, "SIGINT");
  const [code] = (await once(daemon, "exit")) as [number | null];
  assert.equal(code, 0);
  assert.match(textOf(logger.linesPath), /^<21>SIGINT: stopping, 0 clients connected\n<21>stopped\n$/m);
  assert.match(textOf(logger.startsPath), new RegExp(`^[^\\n]* --tag mailshunt/lmtp --id=${pid} [^\\n]*\\n$`));
});

test("under systemd lines carry their severity and no time", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "journal");
  const config = writeConfig(folder, { listeners: [`address: "unix:${folder}/lmtp"`], backends: STORE });
  const fd = openSync(path, "w");
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const daemon = spawn(process.execPath, [MAIN, "serve", "-c", config], {
    stdio: ["ignore", "ignore", fd],
    env: { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` },
  });
  t.after(() => daemon.kill("SIGKILL"));
  closeSync(fd);
  await waitForFileText(path, /^<5>mailshunt \S+ is ready: /m);
  await waitForFileText(path, /^<4>warning: old: unavailable: /m);
});

test("JSON by option, Postfix's line otherwise, for one and the same delivery", async (t) => {
  const setting = await startSetting(t, { users: { u: "old" } });
  const { daemon } = setting;
  const client = await setting.connect();
  await client.transaction({ sender: "s@a.example", recipients: ["U+x@b.example"], content: "x\r\n" });
  const line = await daemon.nextLine(/ status=/);
  const path = join(setting.folder, "old");
  assert.match(
    line,
    new RegExp(
      `^\\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\S+ mailshunt/lmtp\\[${daemon.pid}\\]: (\\w+): to=<U\\+x@b\\.example>, ` +
        `relay=\\S+\\[${path}\\], delay=[\\d.]+, delays=[\\d.]+/[\\d.]+/[\\d.]+/[\\d.]+, dsn=2\\.\\d\\.\\d, ` +
        `status=sent \\(250 .*\\); from=<s@a\\.example> backend=old backend_session=FAKE$`,
    ),
  );
  setting.rewrite({ users: { u: "old" }, more: ["log: { format: json, level: info }"] });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/^\{.*"level":"notice",.*reload 1 took effect/);
  await client.transaction({ sender: "", recipients: ["u@b.example"], content: "x\r\n" });
  const record = JSON.parse(await daemon.nextLine(/^\{.*"event":"delivery"/)) as Record<string, unknown>;
  assert.deepEqual(
    [record["to"], record["from"], record["backend"], record["status"], record["pid"]],
    ["u@b.example", "", "old", "sent", daemon.pid],
  );
});

test("what a client says cannot write lines of its own", async (t) => {
  const setting = await startSetting(t);
  const { daemon, stores } = setting;
  stores.old.script.rcpt = "550 5.1.1 no\x1b[2J\x07 such\x7fuser";
  const client = await setting.connect();
  await client.send('MAIL FROM:<"a\x01\tb"@x.example>\r\nRCPT TO:<"c\x1b[31m>, status=sent"@x.example>\r\nRSET\r\n');
  await client.reply();
  await client.reply();
  await client.reply();
  await client.expectInStep();
  daemon.signal("SIGTERM");
  await daemon.exited;
  // oxlint-disable-next-line no-control-regex -- that is the point
  assert.doesNotMatch(daemon.output(), /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
});

test("normal closes are silent", async (t) => {
  const setting = await startSetting(t);
  const { daemon } = setting;
  const before = daemon.output();
  const [quitting, leaving, breaking] = [await setting.connect(), await setting.connect(), await setting.connect()];
  await quitting.command("QUIT");
  leaving.end();
  breaking.reset();
  await Promise.all([quitting.closed(), leaving.closed()]);
  daemon.signal("SIGTERM");
  await daemon.exited;
  const said = daemon.output().slice(before.length).trimEnd().split("\n");
  assert.deepEqual(
    said.map((line) => line.replace(/^.*?\]: /, "").replace(/\d clients?/, "n")),
    ["SIGTERM: stopping, n connected", "stopped"],
  );
});
