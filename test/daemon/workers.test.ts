import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { startMailshunt } from "../support/daemon-process.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";
import type { Scope } from "./setting.ts";
import { connectMany, isAlive, startWorkers, statusOf, waitForStatus, WORKERS } from "./workers-setting.ts";

const ENVELOPE = "MAIL FROM:<s@x.example>\r\nRCPT TO:<ada@b.example>\r\nDATA\r\n";

test("clients of several workers over TCP and a unix socket are served, and counted together", async (t) => {
  const setting = await startWorkers(t);
  const { daemon, stores, folder, deliver } = setting;
  assert.ok(daemon.hasLine(/is ready: .*, 3 workers, listening on /));
  const clients = await connectMany(setting);
  const local = await connectLmtp({ kind: "unix", path: join(folder, "lmtp") });
  t.after(() => local[Symbol.dispose]());
  await local.lhlo();
  const replies = await Promise.all([...clients, local].map((client) => deliver(client, "ada")));
  for (const reply of replies) assert.match(reply, /^250.* \| 250/);
  assert.equal(stores.old.delivered.length, 13);
  const status = await statusOf(setting);
  assert.equal(status.workers.length, WORKERS);
  assert.deepEqual(
    status.listeners.slice(0, 2).map(({ connections }) => connections),
    [12, 1],
  );
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  for (const pid of status.workers) assert.equal(isAlive(pid), false);
});

test("a worker that is killed loses its own clients alone, and is replaced", async (t) => {
  const setting = await startWorkers(t);
  const { daemon, deliver } = setting;
  const clients = await connectMany(setting);
  const [first = 0] = (await statusOf(setting)).workers;
  process.kill(first, "SIGKILL");
  await daemon.nextLine(new RegExp(`error: worker ${first} has ended \\(SIGKILL\\): its clients are disconnected`));
  const lost: LmtpClient[] = [];
  for (const client of clients) {
    const reply = await deliver(client, "ada").catch(() => "lost");
    if (reply === "lost") lost.push(client);
    else assert.match(reply, /^250.* \| 250/);
  }
  assert.ok(lost.length < clients.length, "every client was lost");
  await daemon.nextLine(/worker \d+ serves in place of the one that ended$/);
  const { workers } = await statusOf(setting);
  assert.deepEqual([workers.length, workers.includes(first)], [WORKERS, false]);
  assert.match(await deliver(await setting.connect(), "ada"), /^250.* \| 250/);
});

test("what a worker had counted stays in the metrics when it has ended", async (t) => {
  const setting = await startWorkers(t);
  const { daemon, folder, deliver } = setting;
  const clients = await connectMany(setting);
  await Promise.all(clients.map((client) => deliver(client, "ada")));
  assert.equal(await sentIn(folder), 12);
  const [first = 0] = (await statusOf(setting)).workers;
  process.kill(first, "SIGKILL");
  await daemon.nextLine(/worker \d+ serves in place of the one that ended$/);
  assert.equal(await sentIn(folder), 12);
  await deliver(await setting.connect(), "ada");
  assert.equal(await sentIn(folder), 13);
});

/** Of `mailshunt_lmtp_recipients_total`. */
async function sentIn(folder: string): Promise<number> {
  const asked = request({ socketPath: join(folder, "admin"), path: "/metrics" }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return Number(
    /^mailshunt_lmtp_recipients_total\{backend="old",result="sent"\} (\d+)$/m.exec(await text(response))?.[1],
  );
}

test("hold waits for the deliveries of every worker, and cuts them", async (t) => {
  const setting = await startWorkers(t, { more: ["drain: { grace: 100ms }", "hold: { park: 0s }"] });
  const { stores, start, deliver } = setting;
  const clients = await connectMany(setting);
  stores.old.script.final = { do: "stall" };
  const [half, past] = [clients.slice(0, 6), clients.slice(6)];
  for (const client of clients) await client.send(ENVELOPE);
  for (const client of clients) await client.expect("250", "250", "354");
  for (const client of past) await client.send("Subject: x\r\n\r\nx\r\n.\r\n");
  await stores.old.waitFor("stall", 6);
  const hold = start("hold", "ada");
  await waitForStatus(setting, "six are cut", ({ holds, deliveries }) => holds === 1 && deliveries.under_way === 6);
  for (const client of half) await client.send(".\r\n");
  await Promise.all(half.map((client) => client.expect("451 4.2.1")));
  assert.equal(hold.stdout(), "");
  delete stores.old.script.final;
  stores.old.release();
  await Promise.all(past.map((client) => client.expect("250")));
  assert.deepEqual(await hold.exited, { code: 0, signal: null });
  assert.match(hold.stdout(), /drained \(waited for 12 deliveries, of which 6 cut off before the end of the message\)/);
  for (const client of clients) assert.match(await deliver(client, "ada"), /^450 4\.2\.1 /);
  assert.equal(stores.old.delivered.length, 6);
});

test("what a killed worker had sent is uncertain: hold does not end before it must have settled", async (t) => {
  const setting = await startWorkers(t, { more: ["drain: { settle: 4s, timeout: 60s }"] });
  const { stores, run, daemon } = setting;
  const client = await setting.connect();
  stores.old.script.final = { do: "stall" };
  await client.send(ENVELOPE);
  await client.expect("250", "250", "354");
  await client.send("x\r\n.\r\n");
  await stores.old.waitFor("stall");
  const killedMs = performance.now();
  for (const pid of (await statusOf(setting)).workers) process.kill(pid, "SIGKILL");
  await daemon.nextLine(/error: worker \d+ has ended/);
  const hold = await run("hold", "ada");
  assert.equal(hold.code, 0);
  assert.ok(performance.now() - killedMs >= 4_000, hold.stdout);
});

test("a worker that does not answer keeps hold from ending well, and is named", async (t) => {
  const setting = await startWorkers(t, { more: ["drain: { timeout: 1s, grace: 100ms }"] });
  const [stuck = 0] = (await statusOf(setting)).workers;
  process.kill(stuck, "SIGSTOP");
  const hold = await setting.run("hold", "ada");
  assert.equal(hold.code, 75);
  assert.match(hold.stdout, new RegExp(`NOT drained.*\\n {2}session worker ${stuck} .*does not answer`));
  process.kill(stuck, "SIGCONT");
  assert.equal((await setting.run("hold", "ada")).code, 0);
});

test("mail that is parked in any worker goes on after the release", async (t) => {
  const setting = await startWorkers(t, { more: ["hold: { park: 60s, max_parked: 36 }"] });
  const { stores, run, deliver } = setting;
  assert.equal((await run("hold", "ada")).code, 0);
  const clients = await connectMany(setting);
  const sent = clients.map((client) => deliver(client, "ada"));
  await waitForStatus(setting, "all are parked", ({ deliveries }) => deliveries.parked === 12);
  assert.equal((await run("user", "set", "ada", "--to", "new")).code, 0);
  assert.equal((await run("release", "ada")).code, 0);
  for (const replies of await Promise.all(sent)) assert.match(replies, /^250.* \| 250/);
  assert.deepEqual([stores.old.delivered.length, stores.new.delivered.length], [0, 12]);
});

test("max_connections of a backend holds for all workers together", async (t) => {
  let most = 0;
  const setting = await startWorkers(t);
  const { folder, stores, deliver, daemon } = setting;
  setting.rewrite({
    backends: {
      old: `lmtp: "unix:${folder}/old", max_connections: 4`,
      new: `lmtp: "unix:${folder}/new"`,
    },
    more: [
      `process: { workers: ${WORKERS} }`,
      `directory: { store: "sqlite:${folder}/directory.db" }`,
      `moves: { folder: "${folder}/moves" }`,
    ],
  });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 1: no delivery admitted before it is under way any more/);
  stores.old.script.data = () => {
    most = Math.max(most, stores.old.open);
    return undefined;
  };
  const clients = await connectMany(setting, 24);
  for (let round = 0; round < 3; round++)
    for (const reply of await Promise.all(clients.map((client) => deliver(client, "ada"))))
      assert.match(reply, /^250.* \| 250/);
  assert.equal(stores.old.delivered.length, 72);
  assert.ok(most <= 4, `${most} connections at once`);
});

test("max_connections of a listener holds for all workers together", async (t) => {
  const setting = await startWorkers(t);
  const { folder, daemon } = setting;
  const address = join(folder, "few");
  setting.rewrite({
    listeners: [
      'address: "127.0.0.1:0"',
      `address: "unix:${folder}/lmtp"`,
      `protocol: admin, address: "unix:${folder}/admin"`,
      `address: "unix:${address}", max_connections: 7`,
    ],
  });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 1 took effect/);
  const greetings: string[] = [];
  const clients: LmtpClient[] = [];
  for (let index = 0; index < 9; index++) {
    const client = await connectLmtp({ kind: "unix", path: address });
    t.after(() => client[Symbol.dispose]());
    greetings.push((await client.reply()).slice(0, 3));
    clients.push(client);
  }
  assert.deepEqual(greetings, [...Array.from({ length: 7 }, () => "220"), "421", "421"]);
  clients[0]?.end();
  await clients[0]?.closed();
  await until("a place is free", async () => {
    const client = await connectLmtp({ kind: "unix", path: address });
    t.after(() => client[Symbol.dispose]());
    return (await client.reply()).startsWith("220") ? true : undefined;
  });
});

test("listeners come and go; clients of all of them stay", async (t) => {
  const setting = await startWorkers(t);
  const { folder, daemon, deliver } = setting;
  const clients = await connectMany(setting);
  setting.rewrite({
    listeners: [`address: "unix:${folder}/added"`, `protocol: admin, address: "unix:${folder}/admin"`],
  });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 1 took effect/);
  const added = await connectLmtp({ kind: "unix", path: join(folder, "added") });
  t.after(() => added[Symbol.dispose]());
  await added.lhlo();
  assert.match(await deliver(added, "ada"), /^250.* \| 250/);
  for (const client of clients) assert.match(await deliver(client, "ada"), /^250.* \| 250/);
  await assert.rejects(setting.connect());
  const { workers } = await statusOf(setting);
  for (const client of clients) client.end();
  await waitForStatus(setting, "those who served them have ended", (now) => now.workers.length === WORKERS);
  assert.ok(workers.length > WORKERS);
});

test("a faulty file, or a listener that cannot be opened, changes nothing in any worker", async (t) => {
  const setting = await startWorkers(t);
  const { folder, daemon, deliver } = setting;
  setting.rewrite({ fallback: "nowhere" });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 1 failed/);
  setting.rewrite({ listeners: [`address: "unix:${folder}/nowhere/lmtp"`], fallback: "new" });
  daemon.signal("SIGUSR1");
  await daemon.nextLine(/reload 2 failed/);
  for (const client of await connectMany(setting)) assert.match(await deliver(client, "ada"), /^250.* \| 250/);
  assert.equal(setting.stores.new.delivered.length, 0);
});

test("workers end with the process that started them, and the next daemon takes over", async (t) => {
  const setting = await startWorkers(t);
  const { daemon, folder } = setting;
  const { workers } = await statusOf(setting);
  daemon.signal("SIGKILL");
  await until("no worker is left", () => (workers.some(isAlive) ? undefined : true));
  const next = startMailshunt(t, ["serve", "-c", join(folder, "mailshunt.yaml")]);
  await next.nextLine(/is ready: .*, 3 workers, /);
});

test("what one client writes to a table, clients of every worker read, past what was cached", async (t) => {
  const folder = scratchFolder(t);
  const database = new DatabaseSync(join(folder, "notes.db"));
  database.exec("CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT)");
  database.close();
  const config = join(folder, "mailshunt.yaml");
  const lines = [
    "version: 1",
    `process: { workers: ${WORKERS} }`,
    `listeners: [{ protocol: dict, address: "unix:${folder}/dict" }]`,
    "tables:",
    "  notes:",
    `    { type: sql, driver: sqlite, file: "${folder}/notes.db", cache: { ttl: 1h, absent_ttl: 1h },`,
    '      get: "SELECT value FROM notes WHERE key = :key",',
    '      set: "INSERT INTO notes VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = :value" }',
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  await startMailshunt(t, ["serve", "-c", config]).nextLine(/is ready/);
  const clients = Array.from({ length: 12 }, () => connectDict(t, join(folder, "dict")));
  const readAll = (): Promise<string[]> => Promise.all(clients.map(({ ask }) => ask("Lshared/a\n")));
  const all = (answer: string): string[] => clients.map(() => answer);
  assert.deepEqual(await readAll(), all("N"));
  for (const [index, { ask }] of clients.entries()) {
    const id = String(index + 1);
    assert.equal(await ask(`B${id}\nS${id}\tshared/a\tvalue ${id}\nC${id}\n`), `O${id}`);
    assert.deepEqual(await readAll(), all(`Ovalue ${id}`));
  }
});

interface DictClient {
  /** @returns the line that answers */
  ask(lines: string): Promise<string>;
}

function connectDict(t: Scope, path: string): DictClient {
  const socket = connect(path);
  t.after(() => socket.destroy());
  socket.write("H2\t0\t0\tann\tnotes\n");
  let unread = "";
  return {
    async ask(lines) {
      socket.write(lines);
      while (!unread.includes("\n")) unread += String((await once(socket, "data"))[0]);
      const end = unread.indexOf("\n");
      const line = unread.slice(0, end);
      unread = unread.slice(end + 1);
      return line;
    },
  };
}
