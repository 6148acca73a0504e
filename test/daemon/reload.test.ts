import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startMailshunt, writeConfig } from "../support/daemon-process.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { openForReader } from "../support/named-pipe.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";
import { startSetting } from "./setting.ts";

const DRAINED = (number: number): RegExp =>
  new RegExp(`: reload ${number}: no delivery admitted before it is under way any more$`);
const TOOK_EFFECT = (number: number): RegExp => new RegExp(`: reload ${number} took effect, .* is reloaded: `);

async function deliver(client: LmtpClient, user: string): Promise<readonly string[]> {
  const { rcpt, final } = await client.transaction({ recipients: [`${user}@b.example`], content: "x\r\n" });
  return rcpt[0]?.startsWith("250") === true ? final : rcpt;
}

test("twenty reloads under pipelined load: no reply is lost, no client cut off, and what is drained stays so", async (t) => {
  const setting = await startSetting(t, { users: { u: "old" } });
  const { daemon, stores } = setting;
  const clients = await Promise.all(Array.from({ length: 6 }, () => setting.connect()));
  let isOver = false;
  let sent = 0;
  const runs = clients.map(async (client) => {
    while (!isOver) {
      const final = await deliver(client, "u");
      assert.equal(final.length, 1);
      assert.match(final[0] ?? "", /^250 /);
      sent += 1;
    }
    await client.expectInStep();
  });
  const failed = Promise.race(runs).then(() => assert.equal(isOver, true));
  for (let number = 1; number <= 20; number++) {
    const isNew = number % 2 === 1;
    setting.rewrite({ users: { u: isNew ? "new" : "old" } });
    daemon.signal(isNew ? "SIGUSR1" : "SIGHUP");
    await Promise.race([failed, daemon.nextLine(TOOK_EFFECT(number))]);
    await Promise.race([failed, daemon.nextLine(DRAINED(number))]);
    const left = isNew ? stores.old : stores.new;
    const delivered = left.delivered.length;
    const want = sent + 20;
    while (sent < want) await Promise.race([failed, new Promise((resolve) => setImmediate(resolve))]);
    assert.equal(left.delivered.length, delivered, `a delivery to the store that reload ${number} left`);
  }
  isOver = true;
  await Promise.all(runs);
  assert.equal(stores.old.delivered.length + stores.new.delivered.length, sent);
  assert.deepEqual([...stores.old.violations, ...stores.new.violations], []);
});

test("the end of the old configuration is told when its last delivery has ended, and not before", async (t) => {
  const setting = await startSetting(t, { users: { u: "old" } });
  const { daemon, stores } = setting;
  const [slow, other] = [await setting.connect(), await setting.connect()];
  stores.old.script.final = { do: "stall" };
  const delivery = deliver(slow, "u");
  await stores.old.waitFor("stall");

  setting.rewrite({ users: { u: "new" } });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(TOOK_EFFECT(1));
  assert.match((await deliver(other, "u"))[0] ?? "", /^250 /);
  assert.equal(stores.new.delivered.length, 1);

  daemon.signal("SIGUSR1");
  await daemon.nextLine(TOOK_EFFECT(2));
  assert.match((await deliver(other, "u"))[0] ?? "", /^250 /);
  assert.equal(daemon.hasLine(DRAINED(1)), false);
  assert.equal(daemon.hasLine(DRAINED(2)), false, "a delivery from before reload 1 is from before reload 2 as well");

  stores.old.release();
  assert.match((await delivery)[0] ?? "", /^250 /);
  await daemon.nextLine(DRAINED(1));
  await daemon.nextLine(DRAINED(2));
});

test("a faulty file changes nothing and every fault is told with its place", async (t) => {
  const setting = await startSetting(t, { users: { u: "old" } });
  const { daemon, folder, stores } = setting;
  const path = join(folder, "mailshunt.yaml");
  const client = await setting.connect();
  const good = readFileSync(path, "utf8");

  writeFileSync(path, good.replace("{ u: old }", "{ u: older }").replace("version: 1", "version: 1\ncolour: red"));
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/\/config\[\d+\]: error: \S+\/mailshunt\.yaml:2:1: .*colour/);
  await daemon.nextLine(/\/config\[\d+\]: error: \S+\/mailshunt\.yaml:\d+:\d+: .*older/);
  await daemon.nextLine(/error: reload 1 failed, \S+ is not reloaded: what was in effect stays$/);
  assert.match((await deliver(client, "u"))[0] ?? "", /^250 /);

  unlinkSync(path);
  daemon.signal("SIGHUP");
  await daemon.nextLine(/error: reload 2 failed/);
  assert.match((await deliver(client, "u"))[0] ?? "", /^250 /);

  writeFileSync(path, good);
  daemon.signal("SIGHUP");
  await daemon.nextLine(TOOK_EFFECT(3));
  assert.equal(stores.old.delivered.length, 2);
});

test("a listener that cannot be opened keeps the old configuration, whole", async (t) => {
  const setting = await startSetting(t, { users: { u: "old" } });
  const { daemon, folder } = setting;
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  t.after(() => blocker.close());
  const address = blocker.address();
  assert.ok(address !== null && typeof address === "object");
  const busy = `127.0.0.1:${address.port}`;
  setting.rewrite({
    users: { u: "new" },
    listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/lmtp"`, `address: "${busy}"`],
  });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(new RegExp(`error: cannot listen on ${busy}: another process listens there already`));
  await daemon.nextLine(/error: reload 1 failed/);
  assert.equal(existsSync(join(folder, "lmtp")), false);
  await deliver(await setting.connect(), "u");
  assert.equal(setting.stores.old.delivered.length, 1);
});

test("listeners come and go; clients of all of them stay", async (t) => {
  const setting = await startSetting(t, (folder) => ({
    listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/going"`],
  }));
  const { daemon, folder, stores } = setting;
  const staying = await setting.connect();
  const going = await connectLmtp({ kind: "unix", path: join(folder, "going") });
  t.after(() => going[Symbol.dispose]());
  await going.lhlo();
  setting.rewrite({ listeners: ['address: "127.0.0.1:0", max_connections: 2', `address: "unix:${folder}/coming"`] });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(TOOK_EFFECT(1));
  assert.equal(existsSync(join(folder, "going")), false);
  const coming = await connectLmtp({ kind: "unix", path: join(folder, "coming") });
  t.after(() => coming[Symbol.dispose]());
  await coming.lhlo();
  for (const client of [staying, going, coming]) assert.match((await deliver(client, "u"))[0] ?? "", /^250 /);
  assert.equal(stores.old.delivered.length, 3);
  // The new limit holds for new clients.
  await setting.connect();
  await setting.connect();
  const third = connect(setting.port, "127.0.0.1");
  const [greeting] = (await once(third, "data")) as [Buffer];
  assert.match(greeting.toString(), /^421 4\.3\.2 /);
  third.destroy();
});

test("rights of a socket that stays are changed, or the log says why not", async (t) => {
  const setting = await startSetting(t, (folder) => ({
    listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/lmtp", permissions: "0600"`],
  }));
  const { daemon, folder } = setting;
  const mode = (): number => statSync(join(folder, "lmtp")).mode & 0o777;
  const reload = (rights: string): void => {
    setting.rewrite({ listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/lmtp", ${rights}`] });
    daemon.signal("SIGUSR1");
  };
  assert.equal(mode(), 0o600);
  reload('permissions: "0666"');
  await daemon.nextLine(TOOK_EFFECT(1));
  assert.equal(mode(), 0o666);
  reload('permissions: "0600", owner: nosuchuser');
  await daemon.nextLine(/error: cannot listen on unix:\S+\/lmtp: there is no user "nosuchuser"$/);
  await daemon.nextLine(/error: reload 2 failed/);
  assert.equal(mode(), 0o666, "the next start would fail: nothing has changed");
});

test("a socket that was removed is there again after a reload; its clients stay", async (t) => {
  const setting = await startSetting(t, (folder) => ({
    listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/lmtp"`],
  }));
  const { daemon, folder, stores } = setting;
  const path = join(folder, "lmtp");
  const before = await connectLmtp({ kind: "unix", path });
  t.after(() => before[Symbol.dispose]());
  await before.lhlo();
  unlinkSync(path);
  daemon.signal("SIGUSR1");
  await daemon.nextLine(TOOK_EFFECT(1));
  const after = await connectLmtp({ kind: "unix", path });
  t.after(() => after[Symbol.dispose]());
  await after.lhlo();
  for (const client of [before, after]) assert.match((await deliver(client, "u"))[0] ?? "", /^250 /);
  assert.equal(stores.old.delivered.length, 2);
  assert.doesNotMatch(daemon.output(), /warning/);
  daemon.signal("SIGTERM");
  await daemon.exited;
  assert.equal(existsSync(path), false);
});

test("what only a restart can change is said", async (t) => {
  const setting = await startSetting(t, (folder) => ({ more: [`process: { pid_file: ${folder}/pid }`] }));
  const { daemon, folder } = setting;
  assert.equal(readFileSync(join(folder, "pid"), "utf8"), `${daemon.pid}\n`);
  setting.rewrite({ more: [`process: { pid_file: ${folder}/other, user: nobody }`] });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/warning: process\.user has changed: that takes effect with a restart$/);
  await daemon.nextLine(/warning: process\.pid_file has changed: that takes effect with a restart$/);
  await daemon.nextLine(TOOK_EFFECT(1));
  assert.equal(existsSync(join(folder, "other")), false);
});

test("SIGUSR1 before the daemon is ready is one reload, and never Node's debugger", async (t) => {
  const folder = scratchFolder(t);
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const { uid, gid } = userInfo();
  // The name service, which is asked for the socket's owner, answers once the pipe has been written to or is gone.
  writeFileSync(
    join(folder, "getent"),
    `#!/bin/sh\nif test -p ${pipe}; then read -r line < ${pipe}; fi\necho keeper:x:${uid}:${gid}::/:/bin/sh\n`,
    { mode: 0o755 },
  );
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp", owner: keeper`],
    backends: { old: `lmtp: "unix:${folder}/old"` },
  });
  const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const daemon = startMailshunt(t, ["serve", "-c", config], { env });
  // It cannot be ready before it has its answer.
  const fd = await until("the daemon asks for the owner", () => openForReader(pipe));
  for (let i = 0; i < 3; i++) daemon.signal("SIGUSR1");
  unlinkSync(pipe);
  closeSync(fd);
  await daemon.nextLine(/is ready/);
  await daemon.nextLine(TOOK_EFFECT(1));
  daemon.signal("SIGTERM");
  await daemon.exited;
  assert.doesNotMatch(daemon.output(), /Debugger|inspector|reload 2/);
});

test("a configuration that became a pipe is a reload that fails, and holds up no later one", async (t) => {
  const { daemon, folder, rewrite } = await startSetting(t);
  const [path] = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
  assert.ok(path !== undefined);
  unlinkSync(join(folder, path));
  execFileSync("mkfifo", [join(folder, path)]);
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/cannot read it: it is a pipe, not a file$/);
  await daemon.nextLine(/reload 1 failed, /);
  unlinkSync(join(folder, path));
  rewrite({});
  daemon.signal("SIGUSR1");
  await daemon.nextLine(TOOK_EFFECT(2));
});
