import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { connectLmtp } from "../support/lmtp-client.ts";
import { until } from "../support/until.ts";
import { connectMany, isAlive, startWorkers, statusOf, WORKERS } from "./workers-setting.ts";

test("a listener that was removed can be added again", async (t) => {
  const setting = await startWorkers(t);
  const { folder, daemon, deliver } = setting;
  const clients = await connectMany(setting);
  const lmtp = `address: "unix:${folder}/lmtp"`;
  const others = ['address: "127.0.0.1:0"', `protocol: admin, address: "unix:${folder}/admin"`];
  setting.rewrite({ listeners: others });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 1: no delivery admitted before it is under way any more/);
  setting.rewrite({ listeners: [...others, lmtp] });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 2 (took effect|failed)/);
  const local = await connectLmtp({ kind: "unix", path: join(folder, "lmtp") });
  t.after(() => local[Symbol.dispose]());
  await local.lhlo();
  for (const client of [...clients, local]) assert.match(await deliver(client, "ada"), /^250.* \| 250/);
});

test("workers end with the process that started them even while they finish deliveries", async (t) => {
  const setting = await startWorkers(t, {
    more: [`process: { workers: ${WORKERS}, shutdown_timeout: 10m }`],
  });
  const { stores, daemon } = setting;
  const idle = await connectMany(setting);
  const clients = await connectMany(setting);
  stores.old.script.final = { do: "stall" };
  for (const client of clients) await client.send("MAIL FROM:<s@x.example>\r\nRCPT TO:<ada@b.example>\r\nDATA\r\n");
  for (const client of clients) await client.expect("250", "250", "354");
  for (const client of clients) await client.send("x\r\n.\r\n");
  await stores.old.waitFor("stall", clients.length);
  const { workers } = await statusOf(setting);
  daemon.signal("SIGTERM");
  await Promise.all(idle.map((client) => client.closed()));
  assert.ok(workers.some(isAlive));
  daemon.signal("SIGKILL");
  await until("no worker is left", () => (workers.some(isAlive) ? undefined : true));
});
