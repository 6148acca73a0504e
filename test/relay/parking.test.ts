import assert from "node:assert/strict";
import { test } from "node:test";
import type { RoutingDirectory } from "../../src/routing/router.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startFakeBackend } from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { until } from "../support/until.ts";

const PARKING = { parkMs: 45_000, maxParked: 2 };

interface Users extends RoutingDirectory {
  readonly held: Set<string>;
  readonly backends: Map<string, string>;
}

function users(backend: string): Users {
  const held = new Set<string>();
  const backends = new Map<string, string>();
  return {
    held,
    backends,
    find: (user) => ({
      backend: backends.get(user) ?? backend,
      holds: held.has(user) ? [{ owner: "move:1", reason: "moving" }] : [],
    }),
  };
}

async function openClient(endpoint: Parameters<typeof connectLmtp>[0]): Promise<LmtpClient> {
  const client = await connectLmtp(endpoint);
  await client.expect("220");
  await client.send("LHLO mx.example\r\n");
  await client.expect("250");
  return client;
}

test("mail for a held user waits for the release, then goes to the store that is right by then", async () => {
  const directory = users("old");
  directory.held.add("ann");
  await using old = await startFakeBackend();
  await using store = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { old: old.endpoint, new: store.endpoint },
    directory,
    clock: createFakeClock(),
    parking: PARKING,
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await client.expect("250", "250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  assert.deepEqual(proxy.underWay.of("ann"), []);
  directory.held.delete("ann");
  directory.backends.set("ann", "new");
  proxy.parking.release("ann");
  await client.expect("250", "354");
  await client.send("x\r\n.\r\n");
  await client.expect("250", "250");
  assert.deepEqual(
    [old, store].map(({ transactions }) => transactions.flatMap(({ recipients }) => recipients.map((r) => r.address))),
    [["bob@x"], ["ann@x"]],
  );
});

test("when the time is over the answer is 450, for all that wait in the transaction", async () => {
  const clock = createFakeClock();
  const directory = users("old");
  for (const user of ["ann", "bob"]) directory.held.add(user);
  await using old = await startFakeBackend();
  await using proxy = await startProxy({ backends: { old: old.endpoint }, directory, clock, parking: PARKING });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  clock.advance(PARKING.parkMs - 1);
  await client.send("RCPT TO:<bob@x>\r\n");
  await until(`parked: 2`, () => (proxy.parking.count === 2 ? true : undefined));
  clock.advance(1);
  const replies = await client.expect("450 4.2.1", "450 4.2.1");
  assert.match(replies[0] ?? "", /mail for ann is on hold \(moving\), try again later/);
  await client.send("RCPT TO:<ann@x>\r\n");
  await client.expect("450 4.2.1");
  await client.expectInStep();
});

test("past max_parked of one client the answer is 450 at once", async () => {
  const directory = users("old");
  directory.held.add("ann");
  await using old = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { old: old.endpoint },
    directory,
    clock: createFakeClock(),
    parking: PARKING,
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250");
  await until(`parked: 2`, () => (proxy.parking.count === 2 ? true : undefined));
  using second = await openClient(proxy.endpoint);
  await second.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await second.expect("250", "450 4.2.1");
});

test("whoever is waited for does not wait: two transactions that hold and park on each other's users go on", async () => {
  const clock = createFakeClock();
  const directory = users("old");
  await using old = await startFakeBackend();
  await using proxy = await startProxy({ backends: { old: old.endpoint }, directory, clock, parking: PARKING });
  using first = await openClient(proxy.endpoint);
  using second = await openClient(proxy.endpoint);
  await first.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await first.expect("250", "250");
  await second.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\n");
  await second.expect("250", "250");
  directory.held.add("bob");
  await first.send("RCPT TO:<bob@x>\r\n");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  directory.held.add("ann");
  const drain = { graceMs: 5_000, timeoutMs: 60_000 };
  const drained = Promise.all(["ann", "bob"].map((user) => proxy.underWay.drain(user, drain, clock)));
  await first.expect("450 4.2.1");
  await second.send("RCPT TO:<ann@x>\r\n");
  await second.expect("450 4.2.1");
  for (const client of [first, second]) {
    await client.send("DATA\r\n");
    await client.expect("354");
    await client.send("x\r\n.\r\n");
    await client.expect("250");
  }
  assert.deepEqual(
    (await drained).map(({ found, cut }) => [found, cut]),
    [
      [1, 0],
      [1, 0],
    ],
  );
});

test("a client that leaves, and the end of the daemon, end the waiting", async () => {
  const directory = users("old");
  directory.held.add("ann");
  await using old = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { old: old.endpoint },
    directory,
    clock: createFakeClock(),
    parking: PARKING,
  });
  const leaving = await openClient(proxy.endpoint);
  await leaving.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await leaving.expect("250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  leaving[Symbol.dispose]();
  await until(`parked: 0`, () => (proxy.parking.count === 0 ? true : undefined));
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  proxy.parking.endAll();
  await client.expect("450 4.2.1");
});

test("what waited while the configuration was replaced hears 450: the store of the old one may be the wrong one", async () => {
  const held = new Set(["ann"]);
  const directory: RoutingDirectory = {
    find: (user) => ({ backend: undefined, holds: held.has(user) ? [{ owner: "admin", reason: "moving" }] : [] }),
  };
  await using old = await startFakeBackend();
  await using store = await startFakeBackend();
  const backends = { old: old.endpoint, new: store.endpoint };
  await using proxy = await startProxy({
    backends,
    users: { ann: "old" },
    directory,
    clock: createFakeClock(),
    parking: PARKING,
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  const before = proxy.world;
  proxy.reload({ users: { ann: "new" } });
  before.whenDrained(() => undefined);
  held.delete("ann");
  proxy.parking.release("ann");
  await client.expect("450 4.2.1");
  await client.send("RSET\r\nMAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await client.expect("250", "250", "250", "354");
  await client.send("x\r\n.\r\n");
  await client.expect("250");
  assert.deepEqual([old.transactions.length, store.transactions.length], [0, 1]);
});

test("once we stop nobody begins to wait", async () => {
  const directory = users("old");
  directory.held.add("ann");
  await using old = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { old: old.endpoint },
    directory,
    clock: createFakeClock(),
    parking: PARKING,
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250");
  await until(`parked: 1`, () => (proxy.parking.count === 1 ? true : undefined));
  proxy.parking.endAll();
  await client.expect("450 4.2.1");
  await client.send("RCPT TO:<ann@x>\r\n");
  await client.expect("450 4.2.1");
});
