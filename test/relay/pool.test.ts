import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeBackend } from "../support/fake-backend.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";

const toAnn = { recipients: ["ann@x.example"], content: "x\r\n" };

async function openClient(endpoint: Parameters<typeof connectLmtp>[0]): Promise<LmtpClient> {
  const client = await connectLmtp(endpoint);
  await client.lhlo();
  return client;
}

test("a session serves one client after the other, without RSET between whole transactions", async () => {
  await using store = await startFakeBackend();
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  for (let turn = 1; turn <= 3; turn += 1) {
    using client = await openClient(proxy.endpoint);
    assert.match((await client.transaction(toAnn)).final[0] ?? "", /^250 /);
  }
  assert.equal(store.count("connection"), 1);
  assert.deepEqual(
    store.commands.filter((line) => /^(?:LHLO|RSET|QUIT)/.test(line)),
    ["LHLO shunt.example"],
  );
  assert.deepEqual(
    proxy.deliveries.map(({ connectionUse }) => connectionUse),
    [1, 2, 3],
  );
});

test("a session with a transaction left open is reset before the next one", async () => {
  await using store = await startFakeBackend({
    script: { rcpt: ({ recipient }) => (recipient.startsWith("no") ? "550 5.1.1 no" : undefined) },
  });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  const refused = await client.transaction({ recipients: ["nobody@x.example"], content: "x\r\n" });
  assert.match(refused.data, /^503 5\.5\.1 /);
  await store.waitFor("rset");
  assert.match((await client.transaction(toAnn)).final[0] ?? "", /^250 /);
  assert.equal(store.count("connection"), 1);
  assert.deepEqual(store.violations, []);
});

for (const [name, script] of [
  ["closed", { do: "close" }],
  ["reset", { do: "reset" }],
  ["timed out with 421", "421 4.4.2 idle for too long"],
] as const)
  test(`a pooled session found ${name} at MAIL is replaced without the client noticing`, async () => {
    await using store = await startFakeBackend({ script: { mail: ({ use }) => (use === 2 ? script : undefined) } });
    await using proxy = await startProxy({ backends: { store: store.endpoint } });
    using client = await openClient(proxy.endpoint);
    await client.transaction(toAnn);
    const second = await client.transaction({ recipients: ["ann@x.example", "bob@x.example"], content: "second\r\n" });
    assert.deepEqual(
      second.final.map((reply) => reply.slice(0, 3)),
      ["250", "250"],
    );
    await client.expectInStep();
    assert.equal(store.count("connection"), 2);
    assert.equal(store.delivered.length, 2);
    assert.deepEqual(
      proxy.messages.filter(({ level }) => level === "error" || level === "warning"),
      [],
    );
  });

test("a pooled session that dies after it accepted recipients: they are asked again elsewhere, a change of mind is the final reply", async () => {
  await using store = await startFakeBackend({
    script: {
      data: ({ use }) => (use === 2 ? { do: "close" } : undefined),
      rcpt: ({ connection, recipient }) =>
        connection === 2 && recipient.startsWith("bob") ? "550 5.1.1 gone" : undefined,
    },
  });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.transaction(toAnn);
  const second = await client.transaction({
    recipients: ["ann@x.example", "bob@x.example"],
    content: "second\r\n",
    pipelined: false,
  });
  assert.deepEqual(
    second.rcpt.map((reply) => reply.slice(0, 3)),
    ["250", "250"],
  );
  assert.match(second.final[0] ?? "", /^250 /);
  assert.match(second.final[1] ?? "", /^550 5\.1\.1 gone/);
  assert.equal(store.delivered.length, 2);
  await client.expectInStep();
});

test("a fresh session that dies is not replaced: the store had its chance", async () => {
  await using store = await startFakeBackend({ script: { mail: { do: "close" } } });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  assert.match((await client.transaction(toAnn)).rcpt[0] ?? "", /^451 4\.4\.2 /);
  assert.equal(store.count("connection"), 1);
});

test("nothing is sent a second time once the store has said 354", async () => {
  await using store = await startFakeBackend({
    script: { dot: ({ use }) => (use === 2 ? { do: "close" } : undefined) },
  });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.transaction(toAnn);
  assert.match((await client.transaction(toAnn)).final[0] ?? "", /^451 4\.4\.2 .*twice/);
  assert.equal(store.count("dot"), 2);
  assert.deepEqual(
    proxy.deliveries.map(({ status }) => status),
    ["sent", "uncertain"],
  );
});

test("waiting for a connection to a store ends with 451 4.3.2", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({ script: { dot: { do: "stall" } } });
  await using proxy = await startProxy({
    clock,
    backends: { store: { lmtp: store.endpoint, maxConnections: 1, slotTimeoutMs: 20_000 } },
  });
  using first = await openClient(proxy.endpoint);
  await first.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await first.expect("250", "250", "354");
  using second = await openClient(proxy.endpoint);
  await second.send("MAIL FROM:<s@x>\r\n");
  await second.expect("250");
  await second.send("RCPT TO:<ann@x>\r\nNOOP\r\n");
  // Both commands are in: the second one's reply waits for the first one's.
  using third = await openClient(proxy.endpoint);
  await third.command("NOOP");
  clock.advance(20_001);
  assert.match((await second.expect("451 4.3.2", "250"))[0] ?? "", /all 1 connections/);
});

test("a session given back goes to the delivery that waits for it", async () => {
  await using store = await startFakeBackend({
    script: { dot: ({ use }) => (use === 1 ? { do: "stall" } : undefined) },
  });
  await using proxy = await startProxy({ backends: { store: { lmtp: store.endpoint, maxConnections: 1 } } });
  using first = await openClient(proxy.endpoint);
  using second = await openClient(proxy.endpoint);
  const one = first.transaction(toAnn);
  await store.waitFor("stall");
  const two = second.transaction({ recipients: ["bob@x.example"], content: "y\r\n" });
  store.release();
  assert.match((await one).final[0] ?? "", /^250 /);
  assert.match((await two).final[0] ?? "", /^250 /);
  assert.equal(store.count("connection"), 1);
});

test("a store that announces no PIPELINING gets one command at a time", async () => {
  await using store = await startFakeBackend({ keywords: ["8BITMIME"] });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  const replies = await client.transaction({ recipients: ["ann@x.example", "bob@x.example"], content: "x\r\n" });
  assert.equal(replies.final.length, 2);
  assert.deepEqual(store.violations, []);
});

test("a store is sent only what it announced", async () => {
  await using plain = await startFakeBackend({ keywords: ["PIPELINING"] });
  await using rich = await startFakeBackend({
    keywords: ["PIPELINING", "8BITMIME", "SIZE 1000000", "SMTPUTF8", "DSN", "XFORWARD NAME ADDR IDENT"],
  });
  await using proxy = await startProxy({
    backends: { plain: plain.endpoint, rich: rich.endpoint },
    users: { ann: "plain", bob: "rich" },
  });
  using client = await openClient(proxy.endpoint);
  await client.send(
    "XFORWARD ADDR=192.0.2.1 PROTO=ESMTP IDENT=4ABC\r\n" +
      "MAIL FROM:<s@x.example> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e1\r\n" +
      "RCPT TO:<ann@X.Example> ORCPT=rfc822;ann@x.example\r\nRCPT TO:<bob@X.Example> NOTIFY=NEVER ORCPT=rfc822;bob@x.example\r\nDATA\r\n",
  );
  await client.expect("250", "250", "250", "250", "354");
  assert.deepEqual(plain.commands.slice(1), ["MAIL FROM:<s@x.example>", "RCPT TO:<ann@x.example>", "DATA"]);
  assert.deepEqual(rich.commands.slice(1), [
    "XFORWARD ADDR=192.0.2.1 IDENT=4ABC",
    "MAIL FROM:<s@x.example> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e1",
    "RCPT TO:<bob@x.example> NOTIFY=NEVER ORCPT=rfc822;bob@x.example",
    "DATA",
  ]);
});

test("what stores announced decides what we offer", async () => {
  await using plain = await startFakeBackend({ keywords: ["PIPELINING", "8BITMIME", "SIZE 1000"] });
  await using rich = await startFakeBackend({ keywords: ["PIPELINING", "8BITMIME", "SIZE 5000", "SMTPUTF8", "DSN"] });
  await using proxy = await startProxy({
    backends: { plain: plain.endpoint, rich: rich.endpoint },
    users: { ann: "plain", bob: "rich" },
  });
  using before = await connectLmtp(proxy.endpoint);
  const unknown = await before.lhlo();
  assert.ok(unknown.some((line) => line.endsWith("SMTPUTF8")));
  assert.ok(!unknown.some((line) => line.endsWith("DSN")));
  await before.transaction({ recipients: ["ann@x", "bob@x"], content: "x\r\n" });
  using after = await connectLmtp(proxy.endpoint);
  const known = await after.lhlo();
  assert.ok(known.some((line) => line.endsWith("SMTPUTF8")));
  assert.ok(known.some((line) => line.endsWith("SIZE 5000")));
  assert.ok(!known.some((line) => line.endsWith("DSN")));
});

for (const mechanism of ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
  test(`logs in by AUTH ${mechanism}`, async () => {
    const login = { user: "proxy", password: "s=e,cr§t" };
    await using store = await startFakeBackend({ auth: { ...login, mechanisms: [mechanism] } });
    await using proxy = await startProxy({ backends: { store: { lmtp: store.endpoint, credentials: login } } });
    using client = await openClient(proxy.endpoint);
    assert.match((await client.transaction(toAnn)).final[0] ?? "", /^250 /);
    const wrong = { lmtp: store.endpoint, credentials: { ...login, password: "mellon-123" } };
    await using refused = await startProxy({ backends: { store: wrong } });
    using other = await openClient(refused.endpoint);
    assert.match((await other.transaction(toAnn)).rcpt[0] ?? "", /^4\d\d 4/);
    assert.equal(refused.messages.filter(({ level }) => level === "error").length, 1);
    assert.ok(!JSON.stringify(refused.entries).includes("mellon-123"));
  });

test("a backend that is ourselves is found and refused for now", async () => {
  await using outer = await startProxy({ backends: { self: { kind: "tcp", host: "127.0.0.1", port: 1 } } });
  await using proxy = await startProxy({ backends: { self: outer.endpoint } });
  using client = await openClient(proxy.endpoint);
  assert.match((await client.transaction(toAnn)).rcpt[0] ?? "", /^451 4\.4\.6 .*loops/);
});

test("a store that hangs is waited for once, then by one delivery at a time", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({
    script: { greeting: ({ connection }) => (connection <= 2 ? { do: "stall" } : undefined) },
  });
  await using proxy = await startProxy({ clock, backends: { store: store.endpoint } });
  const clients = await Promise.all(Array.from({ length: 5 }, () => openClient(proxy.endpoint)));
  const [first, second, third, fourth, fifth] = clients;
  assert.ok(first && second && third && fourth && fifth);
  const rcpt = "MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\n";
  await first.send(rcpt);
  await store.waitFor("stall");
  clock.advance(5001);
  await first.expect("250", "451 4.4.1");
  await second.send(rcpt);
  await second.expect("250", "451 4.4.1");
  assert.equal(store.count("connection"), 1);
  clock.advance(5001);
  await third.send(rcpt);
  await store.waitFor("stall", 2);
  await fourth.send(rcpt);
  await fourth.expect("250", "451 4.4.1");
  clock.advance(5001);
  await third.expect("250", "451 4.4.1");
  clock.advance(5001);
  assert.match((await fifth.transaction(toAnn)).final[0] ?? "", /^250 /);
  assert.equal(store.count("connection"), 3);
  for (const client of clients) client[Symbol.dispose]();
});

test("a store that answers others is not silent because one delivery waits in vain", async () => {
  const clock = createFakeClock();
  await using store = await startFakeBackend({
    script: { dot: ({ connection }) => (connection === 1 ? { do: "stall" } : undefined) },
  });
  await using proxy = await startProxy({ clock, backends: { store: store.endpoint } });
  using slow = await openClient(proxy.endpoint);
  await slow.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await slow.expect("250", "250", "354");
  await slow.send("x\r\n.\r\n");
  await store.waitFor("stall");
  clock.advance(1000);
  using other = await openClient(proxy.endpoint);
  assert.match((await other.transaction(toAnn)).final[0] ?? "", /^250 /);
  clock.advance(4001);
  await slow.expect("451 4.4.2");
  assert.match((await other.transaction(toAnn)).final[0] ?? "", /^250 /);
});

test("a slot is not lost to a client that left while its connection was being opened", async () => {
  await using store = await startFakeBackend({
    script: {
      dot: ({ connection }) => (connection === 1 ? { do: "close" } : undefined),
      greeting: ({ connection }) => (connection === 2 ? { do: "stall" } : undefined),
    },
  });
  await using proxy = await startProxy({ backends: { store: { lmtp: store.endpoint, maxConnections: 1 } } });
  using first = await openClient(proxy.endpoint);
  await first.send("MAIL FROM:<s@x>\r\nRCPT TO:<ann@x>\r\nDATA\r\n");
  await first.expect("250", "250", "354");
  using second = await openClient(proxy.endpoint);
  await second.send("MAIL FROM:<s@x>\r\n");
  await second.expect("250");
  await second.send("RCPT TO:<bob@x>\r\nDATA\r\n");
  await first.send("x\r\n.\r\n");
  await store.waitFor("stall");
  second.reset();
  using third = await openClient(proxy.endpoint);
  while (proxy.server.connectionCount > 2) await third.command("NOOP");
  store.release();
  assert.match((await third.transaction(toAnn)).final[0] ?? "", /^250 /);
  assert.deepEqual(
    store.commands.filter((line) => line.startsWith("RCPT")),
    ["RCPT TO:<ann@x>", "RCPT TO:<ann@x.example>"],
  );
});

test("half a reply on an idle session does not begin the next one", async () => {
  await using store = await startFakeBackend({
    script: { final: ({ use }) => (use === 1 ? { do: "raw", bytes: "250 2.0.0 saved\r\n550 5.7.1 " } : undefined) },
  });
  await using proxy = await startProxy({ backends: { store: store.endpoint } });
  using client = await openClient(proxy.endpoint);
  await client.transaction(toAnn);
  assert.match((await client.transaction(toAnn)).final[0] ?? "", /^250 /);
  assert.equal(store.delivered.length, 2);
});
