import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runHold } from "../../src/cli/admin/hold.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { until } from "../support/until.ts";
import { startAdmin, withOutput } from "./admin-setting.ts";
import type { AdminSetting } from "./admin-setting.ts";

const ENVELOPE = "MAIL FROM:<s@x.example>\r\nRCPT TO:<ada@b.example>\r\nDATA\r\n";

interface Status {
  readonly holds: number;
  readonly deliveries: { readonly under_way: number; readonly parked: number };
}

async function waitForStatus({ client }: AdminSetting, what: string, look: (status: Status) => boolean): Promise<void> {
  await until(what, async () => (look(await client.ask<Status>("GET", "/v1/status")) ? true : undefined));
}

/** A delivery of which the store has the dot and says nothing. */
async function stall(setting: AdminSetting, lmtp: LmtpClient): Promise<void> {
  setting.stores.old.script.final = { do: "stall" };
  await lmtp.send(ENVELOPE);
  await lmtp.expect("250", "250", "354");
  await lmtp.send("Subject: x\r\n\r\nx\r\n.\r\n");
  await setting.stores.old.waitFor("stall");
}

test("hold exits 0 once nothing is under way; then no byte of the user's mail reaches the store until release", async (t) => {
  const setting = await startAdmin(t, { more: ["hold: { park: 0s }"] });
  const { stores, run, start, deliver } = setting;
  const [slow, other] = [await setting.connect(), await setting.connect()];
  await stall(setting, slow);
  const hold = start("hold", "Ada@b.example", "--reason", "final copy");
  await waitForStatus(setting, "ada is held", ({ holds }) => holds === 1);
  delete stores.old.script.final;
  assert.equal(hold.stdout(), "");
  stores.old.release();
  await slow.expect("250");
  assert.deepEqual(await hold.exited, { code: 0, signal: null });
  assert.match(hold.stdout(), /^ada is held until [-\d: ]+: drained \(waited for 1 delivery\)\n$/);
  const before = stores.old.commands.length;
  assert.match(
    await deliver(other, "ada"),
    /^450 4\.2\.1 mail for ada is on hold \(final copy\), try again later \(session /,
  );
  assert.match(await deliver(other, "ada+list"), /^450 4\.2\.1 /);
  assert.deepEqual(
    stores.old.commands.slice(before).filter((line) => /ada/i.test(line)),
    [],
  );
  assert.match(await deliver(other, "bob"), /^250.* \| 250/);
  const release = await run("release", "ada");
  assert.deepEqual([release.code, release.stdout], [0, "ada: released\n"]);
  assert.match(await deliver(other, "ada"), /^250.* \| 250/);
  assert.deepEqual([...stores.old.violations, ...stores.new.violations], []);
});

test("hold exits 75 when the drain takes too long, and names session, backend, stage and age", async (t) => {
  const setting = await startAdmin(t, { more: ["drain: { timeout: 1s, grace: 100ms }"] });
  await stall(setting, await setting.connect());
  const hold = await setting.run("hold", "ada");
  assert.equal(hold.code, 75);
  assert.match(
    hold.stdout,
    /^ada is held until [-\d: ]+: NOT drained, still under way \(hold again to go on waiting\):\n {2}session \S+ to old: dot, 1\.\d s\n$/,
  );
  const json = await setting.run("hold", "ada", "--json");
  const { drain } = JSON.parse(json.stdout) as { drain: { outcome: string; left: { age_ms: number }[] } };
  assert.deepEqual([json.code, drain.outcome, drain.left.length], [75, "under-way", 1]);
  setting.stores.old.release();
  assert.equal((await setting.run("hold", "ada")).code, 0);
});

test("a message before its dot is cut off after the grace, and neither store has it", async (t) => {
  const setting = await startAdmin(t, { more: ["drain: { grace: 100ms }", "hold: { park: 0s }"] });
  const { stores, run } = setting;
  const lmtp = await setting.connect();
  await lmtp.send(ENVELOPE);
  await lmtp.expect("250", "250", "354");
  await lmtp.send("Subject: half\r\n");
  const hold = await run("hold", "ada");
  assert.equal(hold.code, 0);
  assert.match(hold.stdout, /drained \(waited for 1 delivery, of which 1 cut off before the end of the message\)\n$/);
  await lmtp.send("\r\n.\r\n");
  await lmtp.expect("451 4.2.1");
  assert.deepEqual([stores.old.delivered.length, stores.new.delivered.length], [0, 0]);
});

test("parked mail goes to the store that is right after user set and release, and is deferred by nobody", async (t) => {
  const setting = await startAdmin(t, { more: ["hold: { park: 60s, max_parked: 5 }"] });
  const { stores, run, deliver } = setting;
  assert.equal((await run("hold", "ada")).code, 0);
  const senders = await Promise.all([setting.connect(), setting.connect(), setting.connect()]);
  const sent = senders.map((lmtp) => deliver(lmtp, "ada"));
  await waitForStatus(setting, "three are parked", ({ deliveries }) => deliveries.parked === 3);
  const set = await run("user", "set", "ada", "--to", "new", "--why", "weekend");
  assert.deepEqual([set.code, set.stdout], [0, "ada: no entry → new\n"]);
  assert.equal((await run("release", "ada")).code, 0);
  for (const replies of await Promise.all(sent)) assert.match(replies, /^250.* \| 250/);
  assert.deepEqual([stores.old.delivered.length, stores.new.delivered.length], [0, 3]);
  const history = await run("history", "ada");
  assert.match(
    history.stdout,
    /^[-\d]+ [:\d]+ {2}release admin {2}by admin\n[-\d]+ [:\d]+ {2}set new {2}by admin: weekend\n[-\d]+ [:\d]+ {2}hold admin {2}by admin\n$/,
  );
});

test("Ctrl-C ends hold with 130, keeps the user held and says how to release", async (t) => {
  const setting = await startAdmin(t);
  await stall(setting, await setting.connect());
  const hold = setting.start("hold", "ada", "a b");
  await waitForStatus(setting, "both are held", ({ holds }) => holds === 2);
  await until("one is drained", () => (hold.stdout() === "" ? undefined : true));
  hold.signal("SIGINT");
  assert.deepEqual(await hold.exited, { code: 130, signal: null });
  assert.match(
    hold.output(),
    /^mailshunt: interrupted: 2 users stay held until the deadline or a release: mailshunt release 'a b' ada\n$/,
  );
  setting.stores.old.release();
  assert.match(
    (await setting.run("user", "get", "ada")).stdout,
    /^ada\t\(no entry: tables and fallback count\)\n {2}held for {2}\S+ m?s {2}until [-\d: ]+ {2}by admin\n$/,
  );
});

test("a hold survives kill -9 and a restart, delays drains until what was sent has settled, and still expires", async (t) => {
  const setting = await startAdmin(t, { more: ["hold: { park: 0s }", "drain: { settle: 1s }"] });
  const { daemon, run, restart, folder, stores, deliver } = setting;
  assert.equal((await run("user", "set", "ada", "bob", "--to", "new")).code, 0);
  assert.equal((await run("hold", "ada", "--deadline", "4s")).code, 0);
  daemon.signal("SIGKILL");
  await daemon.exited;
  const next = await restart();
  assert.equal(
    next.hasLine(/warning: the last daemon did not end in order: what it had sent may still arrive, so drains wait$/),
    true,
  );
  const lmtp = await connectLmtp({ kind: "unix", path: `${folder}/lmtp` });
  t.after(() => lmtp[Symbol.dispose]());
  await lmtp.lhlo();
  assert.match(await deliver(lmtp, "ada"), /^450 4\.2\.1 /);
  assert.match(await deliver(lmtp, "bob"), /^250.* \| 250/);
  const held = await run("hold", "bob");
  assert.equal(held.code, 0);
  assert.match(held.stdout, /drained \(nothing was under way(, and [\d.]+ m?s for what had no answer)?\)/);
  await next.nextLine(/warning: the hold of ada by admin has passed its deadline: released to where the user was$/);
  assert.match(await deliver(lmtp, "ada"), /^250.* \| 250/);
  assert.deepEqual([stores.old.delivered.length, stores.new.delivered.length], [0, 2]);
});

test("after kill -9 a hold is not drained before drain.settle", async (t) => {
  const setting = await startAdmin(t, { more: ["drain: { settle: 1h }"] });
  setting.daemon.signal("SIGKILL");
  await setting.daemon.exited;
  await setting.restart();
  const hold = await setting.run("hold", "ada");
  assert.equal(hold.code, 75);
  assert.match(
    hold.stdout,
    /^ada is held until [-\d: ]+: NOT drained before .*: the daemon ended without closing the directory \(hold again then\)\n$/,
  );
});

test("holds nest: another owner's release lets nothing go on", async (t) => {
  const { run, connect, deliver } = await startAdmin(t, { more: ["hold: { park: 0s }"] });
  assert.equal((await run("hold", "ada", "--owner", "x")).code, 0);
  assert.equal((await run("hold", "ada")).code, 0);
  const lmtp = await connect();
  assert.equal(
    (await run("release", "ada")).stdout,
    "ada: released, and is still held: see `mailshunt user get ada`\n",
  );
  assert.match(await deliver(lmtp, "ada"), /^450 /);
  assert.equal(
    (await run("release", "ada")).stdout,
    "ada: was not held by admin, and is still held: see `mailshunt user get ada`\n",
  );
  assert.equal((await run("release", "ada", "--owner", "x")).stdout, "ada: released\n");
  assert.match(await deliver(lmtp, "ada"), /^250/);
  assert.equal((await run("release", "ada")).stdout, "ada: was not held\n");
});

test("SIGTERM while a drain is waited for: hold ends with 75 at once, the user stays held, and mail ends in order", async (t) => {
  const setting = await startAdmin(t);
  const { daemon, stores, start, run, restart } = setting;
  const lmtp = await setting.connect();
  await stall(setting, lmtp);
  const hold = start("hold", "ada");
  await waitForStatus(setting, "ada is held", ({ holds }) => holds === 1);
  daemon.signal("SIGTERM");
  assert.deepEqual(await hold.exited, { code: 75, signal: null });
  assert.equal(
    hold.output(),
    "mailshunt: ada: the daemon stops: ada may be held, but is not known to be drained; hold again\n",
  );
  stores.old.release();
  await lmtp.expect("250", "421");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  // Idle clients of the admin API kept nobody waiting.
  assert.equal(daemon.hasLine(/not finished after/), false);
  const next = await restart();
  assert.equal(next.hasLine(/did not end in order/), false);
  assert.match((await run("user", "get", "ada")).stdout, /held for/);
});

test("one user that is refused keeps no other from being held or released", async (t) => {
  const { run } = await startAdmin(t);
  const hold = await run("hold", "ada", "@nobody", "bob");
  assert.equal(hold.code, 64, `${hold.stdout}${hold.stderr}`);
  assert.equal(hold.stderr, 'mailshunt: @nobody: "@nobody" names no user: the key made of it is empty\n');
  assert.equal(hold.stdout.split("\n").length, 3);
  const release = await run("release", "ada", "@nobody", "bob");
  assert.deepEqual([release.code, release.stdout], [64, "ada: released\nbob: released\n"]);
  for (const deadline of ["soon", "5", "500ms", "60d"]) {
    const refused = await run("hold", "ada", "--deadline", deadline);
    assert.equal(refused.code, 64, deadline);
    assert.match(refused.stderr, /^mailshunt: --deadline: /);
  }
});

test("at a terminal a long drain says what it waits for; a script hears nothing before the end", async (t) => {
  const setting = await startAdmin(t);
  await stall(setting, await setting.connect());
  let stderr = "";
  const hold = withOutput((io) => {
    const terminal = { isTTY: true, write: (text: string) => void (stderr += text) };
    return runHold(["Ada@b.example"], { admin: setting.admin }, { ...io, stderr: terminal });
  });
  const quiet = setting.run("hold", "ada");
  await until("it says so", () => (stderr === "" ? undefined : true));
  assert.match(
    stderr,
    /^waiting for Ada@b\.example, 1 delivery under way:\n {2}ada: session \S+ to old: dot, \d+(\.\d)? m?s\n$/,
  );
  setting.stores.old.release();
  assert.equal((await hold).code, 0);
  const { code, stderr: said } = await quiet;
  assert.deepEqual([code, said], [0, ""]);
});

test("only its owner may connect to the admin socket by default", async (t) => {
  const { folder } = await startAdmin(t);
  assert.equal(statSync(join(folder, "admin")).mode & 0o777, 0o600);
});
