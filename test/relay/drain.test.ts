import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/tables/table.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startFakeBackend } from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";

const GRACE = { graceMs: 5_000, timeoutMs: 60_000 };

async function openClient(endpoint: Parameters<typeof connectLmtp>[0]): Promise<LmtpClient> {
  const client = await connectLmtp(endpoint);
  await client.expect("220");
  await client.send("LHLO mx.example\r\n");
  await client.expect("250");
  return client;
}

/** Whether a promise has settled by the next turn of the event loop. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void promise.then(() => (isSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return isSettled;
}

test("a user without deliveries is drained at once", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  assert.deepEqual(await proxy.underWay.drain("ann", GRACE, createFakeClock()), { found: 0, cut: 0, left: [] });
});

test("a delivery past its final dot is waited for, whatever it takes, and its reply counts", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({ script: { final: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nRCPT TO:<bob@x>\r\nDATA\r\n");
  await client.expect("250", "250", "250", "354");
  await client.send("x\r\n.\r\n");
  await store.waitFor("stall");
  const drained = proxy.underWay.drain("ann", GRACE, clock);
  clock.advance(GRACE.graceMs + 1);
  assert.equal(await hasSettled(drained), false);
  assert.deepEqual(
    proxy.underWay.of("ann").map(({ stage, backend }) => [stage, backend]),
    [["dot", "store"]],
  );
  store.release();
  await client.expect("250");
  assert.deepEqual(await drained, { found: 1, cut: 0, left: [] });
  store.release();
  await client.expect("250");
});

test("a delivery that is still under way when the time is over is named", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({ script: { final: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<Ann+x@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  await client.send("x\r\n.\r\n");
  await store.waitFor("stall");
  const drained = proxy.underWay.drain("ann", GRACE, clock);
  clock.advance(GRACE.timeoutMs);
  const { left, cut } = await drained;
  assert.equal(cut, 0);
  assert.deepEqual(
    left.map(({ user, stage }) => [user, stage]),
    [["ann", "dot"]],
  );
  store.release();
  await client.expect("250");
});

test("a slow client is cut past the grace: its store gets no final dot, and all of that session hear 451", async () => {
  const clock = createFakeClock();
  await using old = await startFakeBackend();
  await using other = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { old: old.endpoint, other: other.endpoint },
    users: { ann: "old", bob: "old", cy: "other" },
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nRCPT TO:<bob@x>\r\nRCPT TO:<cy@x>\r\nDATA\r\n");
  await client.expect("250", "250", "250", "250", "354");
  await client.send("half a message\r\n");
  await old.waitFor("body-bytes");
  const drained = proxy.underWay.drain("ann", GRACE, clock);
  clock.advance(GRACE.graceMs - 1);
  assert.equal(await hasSettled(drained), false);
  clock.advance(1);
  assert.deepEqual(await drained, { found: 1, cut: 1, left: [] });
  await old.waitFor("close");
  await client.send("the other half\r\n.\r\n");
  const replies = await client.expect("451 4.2.1", "451 4.2.1", "250 2.0.0");
  assert.match(replies[0] ?? "", /the user's mailbox is about to move/);
  assert.deepEqual(
    old.transactions.map(({ ended }) => ended),
    ["closed"],
  );
  await client.expectInStep();
});

test("a delivery whose lookup is under way is drained, and goes to no store when the answer comes", async () => {
  const clock = createFakeClock();
  let answer: (answer: Answer) => void = () => undefined;
  await using store = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { store: store.endpoint },
    lookup: (key) => (key === "bob" ? { kind: "found", value: "store" } : new Promise((resolve) => (answer = resolve))),
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\nRCPT TO:<ann@x>\r\n");
  await client.expect("250", "250");
  const drained = proxy.underWay.drain("ann", GRACE, clock);
  clock.advance(GRACE.graceMs);
  assert.deepEqual(await drained, { found: 1, cut: 1, left: [] });
  await client.expect("451 4.2.1");
  answer({ kind: "found", value: "store" });
  await client.send("DATA\r\n");
  await client.expect("354");
  await client.send("x\r\n.\r\n");
  await client.expect("250");
  assert.deepEqual(
    store.transactions.map(({ recipients }) => recipients.map(({ address }) => address)),
    [["bob@x"]],
  );
});

test("what came after the drain began is not waited for", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({ script: { final: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using first = await openClient(proxy.endpoint);
  await first.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await first.expect("250", "250");
  const drained = proxy.underWay.drain("ann", GRACE, clock);
  using second = await openClient(proxy.endpoint);
  await second.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n");
  await second.expect("250", "250");
  await first.send("RSET\r\n");
  await first.expect("250");
  assert.deepEqual(await drained, { found: 1, cut: 0, left: [] });
});

test("a delivery without an answer after its dot is told as uncertain before the drain ends", async () => {
  await using store = await startFakeBackend({ script: { dot: { do: "close" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  const drained = proxy.underWay.drain("ann", GRACE, createFakeClock());
  let uncertainThen: readonly string[] | undefined;
  void drained.then(() => (uncertainThen = proxy.uncertain.map(({ user }) => user)));
  await client.send("x\r\n.\r\n");
  await client.expect("451 4.4.2");
  await drained;
  assert.deepEqual(uncertainThen, ["ann"]);
});
