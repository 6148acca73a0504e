import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { startSetting } from "./setting.ts";
import type { Setting } from "./setting.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";

const ENVELOPE = "MAIL FROM:<s@a.example>\r\nRCPT TO:<u@b.example>\r\nDATA\r\n";
const BODY = "Subject: x\r\n\r\nbody\r\n.\r\n";

/** Brings a message so far that only its final reply is missing. */
async function beginDelivery({ stores }: Setting, client: LmtpClient): Promise<void> {
  stores.old.script.final = { do: "stall" };
  await client.send(ENVELOPE);
  await client.expect("250", "250", "354");
  await client.send(BODY);
  await stores.old.waitFor("stall");
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const [error] = (await once(socket, "error").catch((reason: unknown) => [reason])) as [unknown];
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

for (const signal of ["SIGTERM", "SIGINT"] as const)
  test(`${signal} ends idle clients with 421, takes no new ones, and lets a message finish`, async (t) => {
    const setting = await startSetting(t, (folder) => ({
      listeners: ['address: "127.0.0.1:0"', `address: "unix:${folder}/lmtp"`],
    }));
    const { daemon, stores, folder, port } = setting;
    const busy = await setting.connect();
    const idle = await setting.connect();
    await beginDelivery(setting, busy);
    assert.equal(existsSync(join(folder, "lmtp")), true);
    daemon.signal(signal);
    await daemon.nextLine(new RegExp(`: ${signal}: stopping, 2 clients connected$`));
    await idle.expect("421 4.3.2");
    await idle.closed();
    assert.equal(existsSync(join(folder, "lmtp")), false);
    assert.equal(await isRefused(port), true);
    stores.old.release();
    await busy.expect("250", "421 4.3.2");
    await busy.closed();
    assert.deepEqual(await daemon.exited, { code: 0, signal: null });
    assert.equal(daemon.hasLine(/to=<u@b.example>.* status=sent \(250/), true);
    assert.match(daemon.output(), /: stopped\n$/);
    assert.equal(stores.old.delivered.length, 1);
    assert.deepEqual(stores.old.violations, []);
  });

test("past process.shutdown_timeout a message before its dot ends with 421 and is not delivered", async (t) => {
  const setting = await startSetting(t, { more: ["process: { shutdown_timeout: 50ms }"] });
  const { daemon, stores } = setting;
  const client = await setting.connect();
  await client.send(ENVELOPE);
  await client.expect("250", "250", "354");
  await client.send("Subject: half\r\n");
  daemon.signal("SIGTERM");
  await client.expect("421 4.3.2");
  await client.closed();
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.equal(daemon.hasLine(/warning: 1 client not finished after 50 ms: closing$/), true);
  await stores.old.waitFor("close");
  assert.equal(stores.old.delivered.length, 0);
});

test("past process.shutdown_timeout a message behind its dot is uncertain, and says so", async (t) => {
  const setting = await startSetting(t, { more: ["process: { shutdown_timeout: 50ms }"] });
  const { daemon } = setting;
  const client = await setting.connect();
  await beginDelivery(setting, client);
  daemon.signal("SIGTERM");
  await client.expect("451 4.4.2", "421 4.3.2");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.equal(daemon.hasLine(/to=<u@b.example>.* status=uncertain /), true);
});

test("a second signal ends at once, with the code shells give to it", async (t) => {
  const setting = await startSetting(t);
  const { daemon } = setting;
  await beginDelivery(setting, await setting.connect());
  daemon.signal("SIGTERM");
  await daemon.nextLine(/stopping, 1 client connected$/);
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.exited, { code: 143, signal: null });
  assert.equal(daemon.hasLine(/warning: second signal, SIGTERM: ending at once$/), true);
});
