import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startFakeBackend, type FakeBackendOptions } from "../../test/support/fake-backend.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import { encodeMessage } from "./outgoing-message.ts";
import { runSend, type SendOptions } from "./send.ts";

async function send(options: SendOptions, input: string | undefined) {
  let stdout = "";
  let stderr = "";
  const stdin = {
    isTTY: input === undefined,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      for (const char of input ?? "") yield Buffer.from(char);
    },
  };
  const exitCode = await runSend(options, {
    stdin,
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
  });
  return { exitCode, stdout, stderr };
}

async function setUp(t: TestContext, options: FakeBackendOptions = {}) {
  const fake = await startFakeBackend(options);
  t.after(() => fake.stop());
  return { fake, address: formatEndpoint(fake.endpoint) };
}

test("one line per recipient, in the order given or of the replies", async (t) => {
  const { fake, address } = await setUp(t, {
    keywords: ["PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8"],
    script: {
      rcpt: ({ recipient }) => (recipient === "no@x" ? "550-5.1.1 there is\n550 5.1.1 nobody" : undefined),
      final: ({ index }) => (index === 1 ? "452 4.2.2 full" : undefined),
    },
  });
  const to = ["a@x", "no@x", "usér@x"];
  const sent = await send({ address, to, from: "s@x", timeout: "5s" }, "Subject: é\n\n.dot\r\nend");
  assert.deepEqual(sent, {
    exitCode: 75,
    stdout: "<no@x> 550 5.1.1 there is nobody\n<a@x> 250 2.0.0 <a@x> FAKE Saved\n<usér@x> 452 4.2.2 full\n",
    stderr: "",
  });
  assert.equal(fake.delivered[0]?.body.toString(), "Subject: é\r\n\r\n..dot\r\nend\r\n");
  assert.deepEqual(fake.commands, [
    `LHLO ${hostname()}`,
    "MAIL FROM:<s@x> SIZE=26 BODY=8BITMIME SMTPUTF8",
    "RCPT TO:<a@x>",
    "RCPT TO:<no@x>",
    "RCPT TO:<usér@x>",
    "DATA",
    "QUIT",
  ]);
  // The fake takes SMTPUTF8 for what it is, a keyword of its own.
  assert.deepEqual(fake.violations, []);
});

test("without PIPELINING it waits for each reply", async (t) => {
  const { fake, address } = await setUp(t, { keywords: [] });
  assert.equal((await send({ address, to: ["a@x", "b@x"] }, "x\n")).exitCode, 0);
  assert.deepEqual(fake.violations, []);
  assert.equal(fake.delivered.length, 1);
});

test("on a terminal it sends a test message and says so", async (t) => {
  const { fake, address } = await setUp(t);
  const sent = await send({ address, to: [], from: "" }, undefined);
  assert.equal(sent.exitCode, 0);
  assert.match(sent.stderr, /no message given, sending a test message/);
  assert.equal(sent.stdout, "<postmaster> 250 2.0.0 <postmaster> FAKE Saved\n");
  const body = fake.delivered[0]?.body.toString() ?? "";
  assert.match(body, /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\nFrom: MAILER-DAEMON@/);
  assert.match(body, /\r\nTo: postmaster\r\nMessage-ID: <[0-9a-f]{24}@[^>]+>\r\nSubject: [^\r]+\r\n\r\n/);
});

const outcomes: readonly {
  name: string;
  options: FakeBackendOptions;
  exitCode: number;
  stdout: string;
  stderr?: RegExp;
  delivered: number;
}[] = [
  {
    name: "refused for good",
    options: { script: { rcpt: "550 5.1.1 no" } },
    exitCode: 67,
    stdout: "<a@x> 550 5.1.1 no\n<b@x> 550 5.1.1 no\n",
    delivered: 0,
  },
  {
    name: "MAIL refused",
    options: { script: { mail: "552 5.3.4 too big" } },
    exitCode: 67,
    stdout: "<a@x> 552 5.3.4 too big (to MAIL)\n<b@x> 552 5.3.4 too big (to MAIL)\n",
    delivered: 0,
  },
  {
    name: "DATA refused",
    options: { script: { data: "451 4.3.0 not now" } },
    exitCode: 75,
    stdout: "<a@x> 451 4.3.0 not now (to DATA)\n<b@x> 451 4.3.0 not now (to DATA)\n",
    delivered: 0,
  },
  {
    name: "354 without a recipient: no empty message is sent",
    options: { script: { rcpt: "451 4.2.1 held", data: "354 go on" } },
    exitCode: 75,
    stdout: "<a@x> 451 4.2.1 held\n<b@x> 451 4.2.1 held\n",
    delivered: 0,
  },
  {
    name: "connection lost between the final replies",
    options: { script: { final: ({ index }) => (index === 1 ? { do: "close" } : undefined) } },
    exitCode: 75,
    stdout:
      "<a@x> 250 2.0.0 <a@x> FAKE Saved\n<b@x> no reply: 127.0.0.1:PORT closed the connection; the message may have been delivered\n",
    delivered: 1,
  },
  {
    name: "a greeting that sends us away for now",
    options: { script: { greeting: "421 4.3.2 later" } },
    exitCode: 75,
    stdout: "",
    stderr: /greeting answered 421 4\.3\.2 later/,
    delivered: 0,
  },
  {
    name: "a server that is no LMTP server",
    options: { script: { greeting: { do: "raw", bytes: "SSH-2.0-x\r\n" } } },
    exitCode: 75,
    stdout: "",
    stderr: /not a reply: "SSH-2\.0-x"/,
    delivered: 0,
  },
  {
    name: "a server that is silent",
    options: { script: { lhlo: { do: "stall" } } },
    exitCode: 75,
    stdout: "",
    stderr: /127\.0\.0\.1:PORT gave no answer to lhlo within 0\.2 s/,
    delivered: 0,
  },
];
for (const { name, options, exitCode, stdout, stderr = /^$/, delivered } of outcomes)
  test(name, async (t) => {
    const { fake, address } = await setUp(t, options);
    const sent = await send({ address, to: ["a@x", "b@x"], timeout: "200ms" }, "x\n");
    const withoutPort = (text: string): string => text.replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT");
    assert.equal(withoutPort(sent.stdout), stdout);
    assert.match(withoutPort(sent.stderr), stderr);
    assert.equal(sent.exitCode, exitCode);
    assert.equal(fake.delivered.length, delivered);
  });

test("AUTH with the password from a file; a wrong one is no delay", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "send-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "good"), "secret\n");
  await writeFile(join(folder, "bad"), "other");
  const { address } = await setUp(t, { auth: { user: "u", password: "secret" } });
  const good = await send({ address, to: ["a@x"], user: "u", passwordFile: join(folder, "good") }, "x\n");
  assert.deepEqual([good.exitCode, good.stderr], [0, ""]);
  const bad = await send({ address, to: ["a@x"], user: "u", passwordFile: join(folder, "bad") }, "x\n");
  assert.equal(bad.exitCode, 69);
  assert.match(bad.stderr, /AUTH SCRAM-SHA-256 answered 535 5\.7\.8/);
  assert.doesNotMatch(bad.stderr, /other/);
});

const faults: readonly { name: string; options: Partial<SendOptions>; exitCode: number; stderr: RegExp }[] = [
  { name: "no address", options: { address: "nowhere" }, exitCode: 64, stderr: /expected "unix:\/path"/ },
  {
    name: "no socket",
    options: { address: "unix:/nowhere/lmtp" },
    exitCode: 75,
    stderr: /there is no socket at unix:\/nowhere\/lmtp \(ENOENT\)/,
  },
  {
    name: "nothing listens",
    options: { address: "127.0.0.1:1" },
    exitCode: 75,
    stderr: /nothing listens on 127\.0\.0\.1:1 \(ECONNREFUSED\)/,
  },
  {
    name: "nothing listens on a name",
    options: { address: "localhost:1" },
    exitCode: 75,
    stderr: /localhost:1 \(ECONNREFUSED\)/,
  },
  {
    name: "a recipient with a line end",
    options: { to: ["a@x>\r\nDATA"] },
    exitCode: 64,
    stderr: /--to: .* is no address/,
  },
  { name: "an empty recipient", options: { to: [""] }, exitCode: 64, stderr: /--to/ },
  { name: "a sender with parameters", options: { from: "a@x> SIZE=1" }, exitCode: 64, stderr: /--from/ },
  { name: "a user without password", options: { user: "u" }, exitCode: 64, stderr: /go together/ },
  { name: "a timeout without unit", options: { timeout: "5" }, exitCode: 64, stderr: /--timeout: .*5s/ },
  {
    name: "a missing file",
    options: { file: "/nowhere/m" },
    exitCode: 66,
    stderr: /cannot read \/nowhere\/m \(ENOENT\)/,
  },
];
for (const { name, options, exitCode, stderr } of faults)
  test(`fault: ${name}`, async () => {
    const sent = await send({ address: "127.0.0.1:1", to: ["a@x"], ...options }, "x\n");
    assert.match(sent.stderr, stderr);
    assert.match(sent.stderr, /^mailshunt send: [^\n]+\n$/);
    assert.deepEqual([sent.exitCode, sent.stdout], [exitCode, ""]);
  });

const encodings = [
  { content: "", wire: ".\r\n", sizeBytes: 0 },
  { content: "a", wire: "a\r\n.\r\n", sizeBytes: 3 },
  { content: ".\n..\r\n.", wire: "..\r\n...\r\n..\r\n.\r\n", sizeBytes: 10 },
  { content: "bare\rCR\r\n.x\n", wire: "bare\rCR\r\n..x\r\n.\r\n", sizeBytes: 13 },
];
for (const { content, wire, sizeBytes } of encodings)
  test(`on the wire: ${JSON.stringify(content)}`, () => {
    const message = encodeMessage(Buffer.from(content));
    assert.deepEqual([message.wire.toString(), message.sizeBytes, message.hasEightBit], [wire, sizeBytes, false]);
  });
