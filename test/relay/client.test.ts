import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/tables/table.ts";
import { startFakeBackend } from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";

async function openClient(endpoint: Parameters<typeof connectLmtp>[0]): Promise<LmtpClient> {
  const client = await connectLmtp(endpoint);
  await client.lhlo();
  return client;
}

const ENVELOPE = "MAIL FROM:<s@x.example>\r\nRCPT TO:<ann@x.example>\r\nRCPT TO:<bob@x.example>\r\nDATA\r\n";

for (const how of ["end", "reset"] as const)
  test(`a client that goes away before the final dot (${how}) delivers nothing anywhere`, async () => {
    await using a = await startFakeBackend();
    await using b = await startFakeBackend();
    await using proxy = await startProxy({ backends: { a: a.endpoint, b: b.endpoint }, users: { ann: "a", bob: "b" } });
    using client = await openClient(proxy.endpoint);
    await client.send(ENVELOPE);
    await client.expect("250", "250", "250", "354");
    await client.send("Subject: x\r\n\r\nhalf a mess");
    await a.waitFor("body-bytes");
    client[how]();
    await Promise.all([a.waitFor("close"), b.waitFor("close")]);
    assert.deepEqual([a.delivered, b.delivered], [[], []]);
    assert.deepEqual([a.transactions[0]?.ended, b.transactions[0]?.ended], ["closed", "closed"]);
    assert.equal(proxy.world.admitted, 0);
  });

test("QUIT and RSET in the envelope leave the stores' sessions of use", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x.example>\r\nRCPT TO:<ann@x.example>\r\nRSET\r\nQUIT\r\n");
  await client.expect("250", "250", "250", "221");
  await client.closed();
  await store.waitFor("rset");
  assert.equal(store.open, 1);
});

test("a client that goes away after the final dot: the stores finish, and what it did not hear is uncertain", async () => {
  await using store = await startFakeBackend({
    script: {
      dot: { do: "stall" },
      rcpt: ({ recipient }) => (recipient.startsWith("bob") ? "550 5.1.1 no" : undefined),
    },
  });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send(ENVELOPE);
  await client.expect("250", "250", "550", "354");
  await client.send("x\r\n.\r\n");
  await store.waitFor("stall");
  const before = proxy.server.connectionCount;
  client.reset();
  assert.equal(before, 1);
  await client.closed();
  using other = await openClient(proxy.endpoint);
  while (proxy.server.connectionCount > 1) await other.command("NOOP");
  store.release();
  await proxy.waitForDeliveries(2);
  assert.deepEqual(
    proxy.deliveries.map(({ recipient, status }) => `${recipient} ${status}`),
    ["bob@x.example bounced", "ann@x.example uncertain"],
  );
});

test("a client that only says no more still hears the final replies", async () => {
  await using store = await startFakeBackend({ script: { dot: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send(ENVELOPE);
  await client.expect("250", "250", "250", "354");
  await client.send("x\r\n.\r\n");
  client.end();
  await store.waitFor("stall");
  store.release();
  await client.expect("250", "250");
  assert.deepEqual(
    proxy.deliveries.map(({ status }) => status),
    ["sent", "sent"],
  );
});

test("each reply goes out as soon as it and all before it are known", async () => {
  await using slow = await startFakeBackend({ script: { final: { do: "stall" } } });
  await using quick = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { slow: slow.endpoint, quick: quick.endpoint },
    users: { q1: "quick", s1: "slow", q2: "quick" },
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<q1@x>\r\nRCPT TO:<s1@x>\r\nRCPT TO:<q2@x>\r\nDATA\r\n");
  await client.expect("250", "250", "250", "250", "354");
  await client.send("x\r\n.\r\n");
  await client.expect("250 2.0.0 <q1@x>");
  await slow.waitFor("stall");
  await quick.waitFor("final", 2);
  using other = await openClient(proxy.endpoint);
  await other.command("NOOP");
  assert.equal(client.unread(), "");
  slow.release();
  await client.expect("250 2.0.0 <s1@x>", "250 2.0.0 <q2@x>");
});

test("slow lookups keep replies in order and DATA waits for them", async () => {
  const pending = new Map<string, (answer: Answer) => void>();
  await using store = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { store: store.endpoint },
    lookup: (key) =>
      key === "ann" ? { kind: "found", value: "store" } : new Promise((resolve) => pending.set(key, resolve)),
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<bob@x>\r\nRCPT TO:<ann@x>\r\nRCPT TO:<cy@x>\r\nDATA\r\n");
  await client.expect("250");
  await store.waitFor("rcpt");
  assert.equal(client.unread(), "");
  pending.get("cy")?.({ kind: "failed", reason: "server is down" });
  pending.get("bob")?.({ kind: "found", value: "hold" });
  const replies = await client.expect("450 4.2.1", "250", "451 4.3.0", "354");
  assert.match(replies[2] ?? "", /table users: server is down/);
  await client.send("x\r\n.\r\n");
  await client.expect("250");
  await client.expectInStep();
});

test("a failed lookup never falls through to the fallback", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { store: store.endpoint },
    lookup: () => ({ kind: "failed", reason: "broken" }),
    routing: { fallback: "store" },
  });
  using client = await openClient(proxy.endpoint);
  await client.command("MAIL FROM:<s@x>");
  assert.match(await client.command("RCPT TO:<ann@x>"), /^451 4\.3\.0 /);
  assert.equal(store.count("connection"), 0);
});

test("routes that lead to no store have their replies", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { store: store.endpoint },
    users: { held: "hold", gone: "refuse", odd: "nowhere" },
  });
  using client = await openClient(proxy.endpoint);
  await client.command("MAIL FROM:<>");
  for (const [user, want] of [
    ["held", /^450 4\.2\.1 mail for held is on hold.*\(session \w+\)$/],
    ["gone", /^550 5\.7\.1 /],
    ["odd", /^451 4\.3\.0 .*"nowhere"/],
    ["who", /^451 4\.1\.1 /],
  ] as const)
    assert.match(await client.command(`RCPT TO:<${user}+ext@x>`), want);
  assert.match(await client.command("DATA"), /^503 5\.5\.1 /);
  assert.deepEqual(
    proxy.deliveries.map(({ status }) => status),
    ["deferred", "bounced", "deferred", "deferred"],
  );
});

test("after a reload the old configuration ends with its last delivery, new ones go by the new", async () => {
  await using old = await startFakeBackend({ script: { dot: { do: "stall" } } });
  await using next = await startFakeBackend();
  const backends = { old: old.endpoint, next: next.endpoint };
  await using proxy = await startProxy({ backends, users: { ann: "old" } });
  using slow = await openClient(proxy.endpoint);
  await slow.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await slow.expect("250", "250", "354");
  using early = await openClient(proxy.endpoint);
  await early.command("MAIL FROM:<s@x>");
  const oldWorld = proxy.reload({ users: { ann: "next" } });
  let isDrained = false;
  oldWorld.whenDrained(() => (isDrained = true));
  // MAIL before the reload, RCPT after it: goes by the new configuration.
  assert.match(await early.command("RCPT TO:<ann@x>"), /^250/);
  await next.waitFor("rcpt");
  await slow.send("x\r\n.\r\n");
  await old.waitFor("stall");
  assert.equal(isDrained, false);
  old.release();
  await slow.expect("250");
  assert.equal(isDrained, true);
});

test("shutdown: idle clients are told, messages under way finish", async () => {
  await using store = await startFakeBackend({ script: { dot: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using idle = await openClient(proxy.endpoint);
  using busy = await openClient(proxy.endpoint);
  await busy.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await busy.expect("250", "250", "354");
  const done = proxy.server.shutdown();
  await idle.expect("421 4.3.2");
  await busy.send("x\r\n.\r\n");
  await store.waitFor("stall");
  store.release();
  await busy.expect("250", "421 4.3.2");
  await done;
  assert.equal(store.delivered.length, 1);
});

for (const [name, after] of [
  ["BDAT without a number", "BDAT\r\n"],
  ["BDAT with a tab", "BDAT\t30 LAST\r\n"],
  ["BDAT with a number that nobody can count to", "BDAT 99999999999999999999\r\n"],
  ["DATA that is refused", "RCPT TO:<nobody@x>\r\nDATA\r\n"],
  ["DATA without a recipient", "DATA\r\n"],
] as const)
  test(`what follows ${name} is never taken for commands`, async () => {
    await using store = await startFakeBackend({
      script: { rcpt: ({ recipient }) => (recipient.startsWith("nobody") ? "550 5.1.1 no" : undefined) },
    });
    await using proxy = await startProxy({ backends: { store: store.endpoint } });
    using client = await openClient(proxy.endpoint);
    await client.send(
      `MAIL FROM:<s@x>\r\n${after}MAIL FROM:<evil@x>\r\nRCPT TO:<ann@x>\r\nBDAT 3 LAST\r\nevi\r\n.\r\n`,
    );
    await client.closed();
    assert.deepEqual(store.delivered, []);
    assert.ok(!store.commands.some((line) => line.includes("evil")));
  });

test("a client that says all at once and no more is still served", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await connectLmtp(proxy.endpoint);
  await client.send("LHLO c\r\nMAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nBDAT 3 LAST\r\nx\r\nQUIT\r\n");
  client.end();
  await client.expect("220", "250", "250", "250", "250 2.0.0 <ann@x>", "221");
  await client.closed();
  assert.equal(store.delivered.length, 1);
});

test("a reply that waits behind another when the client goes away was not heard: uncertain", async () => {
  await using slow = await startFakeBackend({ script: { final: { do: "stall" } } });
  await using quick = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { slow: slow.endpoint, quick: quick.endpoint },
    users: { s1: "slow", q1: "quick" },
  });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<s1@x>\r\nRCPT TO:<q1@x>\r\nDATA\r\n");
  await client.expect("250", "250", "250", "354");
  await client.send("x\r\n.\r\n");
  await Promise.all([slow.waitFor("stall"), quick.waitFor("final")]);
  client.reset();
  using other = await openClient(proxy.endpoint);
  while (proxy.server.connectionCount > 1) await other.command("NOOP");
  slow.release();
  await proxy.waitForDeliveries(2);
  assert.deepEqual(
    proxy.deliveries.map(({ status }) => status),
    ["uncertain", "uncertain"],
  );
});

test("addresses in UTF-8 are readable in the log", async () => {
  await using store = await startFakeBackend({ keywords: ["PIPELINING", "SMTPUTF8", "8BITMIME"] });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.transaction({ mailParameters: "SMTPUTF8", sender: "ö@x", recipients: ["Épée@x"], content: "x\r\n" });
  assert.deepEqual([proxy.deliveries[0]?.sender, proxy.deliveries[0]?.recipient], ["ö@x", "Épée@x"]);
  assert.equal(store.transactions[0]?.recipients[0]?.address, "Épée@x");
});

test("content sent before 354 is no content", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\nMAIL FROM:<evil@x>\r\n.\r\n");
  await client.expect("250", "250", "421 4.5.0");
  await client.closed();
  assert.equal(store.delivered.length, 0);
});

test("a message over the cap is read to its end, refused, and delivered nowhere", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint }, lmtp: { maxMessageBytes: 100_000 } });
  using client = await openClient(proxy.endpoint);
  assert.match(await client.command("MAIL FROM:<s@x> SIZE=100001"), /^552 5\.3\.4 /);
  const replies = await client.transaction({
    recipients: ["ann@x", "bob@x"],
    content: "0123456789\r\n".repeat(10_000),
  });
  assert.deepEqual(
    replies.final.map((reply) => reply.slice(0, 9)),
    ["552 5.3.4", "552 5.3.4"],
  );
  await client.expectInStep();
  assert.equal(store.delivered.length, 0);
});

test("bare newlines: mended by default, refused by policy", async () => {
  await using store = await startFakeBackend({ endOfData: "lenient" });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  await using strict = await startProxy({ backends: { store: store.endpoint }, lmtp: { newlines: "reject" } });
  const smuggled = "a\n.\r\nMAIL FROM:<evil@x>\r\n.\r\n";
  using client = await openClient(proxy.endpoint);
  const mended = await client.transaction({ recipients: ["ann@x"], rawContent: smuggled });
  assert.match(mended.final[0] ?? "", /^250 /);
  assert.equal(store.delivered[0]?.body.toString(), "a\r\n..\r\nMAIL FROM:<evil@x>\r\n");
  using other = await openClient(strict.endpoint);
  const refused = await other.transaction({ recipients: ["ann@x"], rawContent: smuggled });
  assert.match(refused.final[0] ?? "", /^554 5\.6\.0 /);
  assert.equal(store.delivered.length, 1);
  await other.expectInStep();
});

test("MAIL behind the final dot while we stop has one reply", async () => {
  await using store = await startFakeBackend({ script: { dot: { do: "stall" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  await client.send("x\r\n.\r\n");
  await store.waitFor("stall");
  void proxy.server.shutdown();
  await client.send("MAIL FROM:<t@x>\r\n");
  store.release();
  await client.expect("250", "421 4.3.2");
  await client.closed();
  assert.equal(client.unread(), "");
});

test("ten thousand recipients in one write: each its own reply, in order", async () => {
  await using a = await startFakeBackend({
    script: { rcpt: ({ index }) => (index % 7 === 3 ? "550 5.1.1 no" : undefined) },
  });
  await using b = await startFakeBackend();
  await using proxy = await startProxy({
    backends: { a: a.endpoint, b: b.endpoint },
    lookup: (key) => ({ kind: "found", value: Number(key.slice(1)) % 2 === 0 ? "a" : "b" }),
  });
  using client = await openClient(proxy.endpoint);
  const recipients = Array.from({ length: 10_000 }, (_, index) => `u${index}@x`);
  const replies = await client.transaction({ recipients, content: "x\r\n" });
  const accepted = recipients.filter((_, index) => replies.rcpt[index]?.startsWith("250") === true);
  const refused = Math.floor((5000 - 4) / 7) + 1;
  assert.equal(accepted.length, 10_000 - refused);
  assert.deepEqual(
    replies.final.map((reply) => /<([^>]*)>/.exec(reply)?.[1]),
    accepted,
  );
  await client.send("MAIL FROM:<s@x>\r\n");
  await client.expect("250");
  assert.equal(proxy.deliveries.length, 10_000);
  assert.deepEqual([a.violations, b.violations], [[], []]);
});
