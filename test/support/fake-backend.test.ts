import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import { BodyScanner } from "./fake-backend-body.ts";
import { startFakeBackend, type Behaviour, type FakeBackendOptions, type Stage } from "./fake-backend.ts";
import { connectLmtp, stuffed, type LmtpClient } from "./lmtp-client.ts";

async function meet(options: FakeBackendOptions = {}) {
  const fake = await startFakeBackend(options);
  const client = await connectLmtp(fake.endpoint).catch(async (error: unknown) => {
    await fake.stop();
    throw error;
  });
  return { fake, client, [Symbol.asyncDispose]: () => (client[Symbol.dispose](), fake.stop()) };
}

for (const replyChunkBytes of [undefined, 1])
  test(`a pipelined transaction, replies ${replyChunkBytes ?? "all"} bytes a write`, async () => {
    await using met = await meet({
      ...(replyChunkBytes === undefined ? {} : { replyChunkBytes }),
      script: { rcpt: ({ recipient }) => (recipient.startsWith("no") ? "550-5.1.1 not\n550 5.1.1 here" : undefined) },
    });
    const { fake, client } = met;
    assert.deepEqual(await client.lhlo(), ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"]);
    const replies = await client.transaction({
      mailParameters: "BODY=8BITMIME",
      recipients: ["u1@x", "no@x", '"a>b"@x'],
      content: ".one\r\n.\r\nthree",
    });
    assert.deepEqual(replies, {
      mail: "250 2.1.0 OK",
      rcpt: ["250 2.1.5 OK", "550-5.1.1 not\n550 5.1.1 here", "250 2.1.5 OK"],
      data: "354 go on",
      final: ["250 2.0.0 <u1@x> FAKE Saved", '250 2.0.0 <"a>b"@x> FAKE Saved'],
    });
    const [transaction] = fake.delivered;
    assert.equal(transaction?.body.toString(), "..one\r\n..\r\nthree\r\n");
    assert.equal(transaction.bodyBytes, 18);
    assert.equal(transaction.bodySha256, createHash("sha256").update("..one\r\n..\r\nthree\r\n").digest("hex"));
    assert.deepEqual(
      transaction.recipients.map(({ address, accepted }) => [address, accepted]),
      [
        ["u1@x", true],
        ["no@x", false],
        ['"a>b"@x', true],
      ],
    );
    assert.deepEqual(transaction.mailParameters, ["BODY=8BITMIME"]);
    await client.expectInStep();
    assert.equal(await client.command("QUIT"), "221 2.0.0 bye");
    await client.closed();
    assert.deepEqual(fake.violations, []);
  });

test("a client that leaves before the final dot delivers nothing", async () => {
  await using met = await meet();
  const { fake, client } = met;
  await client.lhlo();
  await client.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  await client.send("half a message\r\n.");
  await fake.waitFor("body-bytes", 16);
  client.reset();
  await fake.waitFor("close");
  assert.deepEqual(fake.delivered, []);
  assert.equal(fake.transactions[0]?.ended, "closed");
});

const stages: readonly { stage: Stage; until: (client: LmtpClient) => Promise<unknown> }[] = [
  { stage: "greeting", until: async () => {} },
  { stage: "lhlo", until: (client) => client.send("LHLO x\r\n") },
  { stage: "mail", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\n") },
  { stage: "rcpt", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\n") },
  { stage: "data", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n") },
  { stage: "body", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n") },
  { stage: "dot", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n") },
  { stage: "final", until: (client) => client.send("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n") },
  { stage: "rset", until: (client) => client.send("RSET\r\n") },
  { stage: "quit", until: (client) => client.send("QUIT\r\n") },
];
const breaks: readonly { name: string; behaviour: Behaviour }[] = [
  { name: "closes", behaviour: { do: "close" } },
  { name: "resets", behaviour: { do: "reset" } },
  { name: "says 421 and closes", behaviour: { do: "close", bytes: "421 4.3.2 gone\r\n" } },
];
for (const { stage, until } of stages) {
  for (const { name, behaviour } of breaks)
    test(`at ${stage} it ${name}`, async () => {
      const meeting = meet({ script: { [stage]: behaviour } });
      // An RST before the client has seen its connection come up breaks the connect itself.
      if (stage === "greeting" && name === "resets")
        return meeting.then(
          (met) => met.fake.stop(),
          () => {},
        );
      await using met = await meeting;
      await until(met.client);
      await met.client.closed();
      await met.fake.waitFor(stage);
      if (name.includes("421")) assert.match(met.client.unread(), /421 4\.3\.2 gone\r\n$/);
    });
  test(`at ${stage} it stalls until released, then goes on as ever`, async () => {
    await using met = await meet({ script: { [stage]: { do: "stall" } } });
    const { fake, client } = met;
    await until(client);
    await fake.waitFor("stall");
    delete fake.script[stage];
    fake.release();
    if (stage !== "quit") {
      await client.send(stage === "body" ? ".\r\nQUIT\r\n" : "QUIT\r\n");
      if (stage === "data") await client.send(".\r\nQUIT\r\n");
    }
    await client.closed();
    assert.match(client.unread(), /221 2\.0\.0 bye\r\n$/);
  });
}

test("too few, too many and garbled replies", async () => {
  await using met = await meet({
    script: {
      mail: [],
      rcpt: ["250 2.1.5 OK", "250 2.1.5 once more"],
      data: { do: "raw", bytes: "\u0000\u0001 not a reply\r\n" },
    },
    enhanced: false,
  });
  const { client } = met;
  await client.lhlo();
  await client.send("MAIL FROM:<>\r\nRCPT TO:<a>\r\nNOOP\r\nDATA\r\n");
  await client.expect("250 2.1.5 OK", "250 2.1.5 once more", "250 OK");
  await assert.rejects(client.reply(), /not a reply line/);
});

test("stops and starts again at the same unix socket", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fake-"));
  const path = join(folder, "lmtp");
  const fake = await startFakeBackend({ path });
  const first = await connectLmtp(fake.endpoint);
  await first.lhlo();
  await fake.stop();
  await first.closed();
  await assert.rejects(connectLmtp(fake.endpoint), /ENOENT|ECONNREFUSED/);
  await fake.start();
  const second = await connectLmtp({ kind: "unix", path });
  await second.lhlo();
  assert.equal(fake.count("connection"), 2);
  await fake.stop();
  await rm(folder, { recursive: true });
});

test("what no client may do is written down", async () => {
  await using met = await meet({ keywords: [], script: { data: "354 go on" } });
  const { fake, client } = met;
  await client.lhlo();
  await client.send("MAIL FROM:<a> SIZE=3\r\nDATA\r\n");
  await client.expect("250", "354");
  await client.send("a\nb\rc\r\n.\r\n");
  await fake.waitFor("dot");
  await client.expectInStep();
  assert.deepEqual(
    fake.violations.map((text) => text.replace("connection 1: ", "")),
    [
      'bytes sent after "MAIL FROM:<a> SIZE=3" before its reply',
      'parameter SIZE=3 without SIZE announced in "MAIL FROM:<a> SIZE=3"',
      "bare LF in the body",
      "bare CR in the body",
      "final dot without an accepted recipient",
    ],
  );
});

const bodies = [
  { mode: "strict", bytes: ".\r\nQUIT\r\n", body: "", rest: "QUIT\r\n" },
  { mode: "strict", bytes: "a\r\n.\r\n", body: "a\r\n", rest: "" },
  { mode: "strict", bytes: "a\n.\r\n.\r\nb\r\n..\r\n.\r\nx", body: "a\n.\r\n", rest: "b\r\n..\r\n.\r\nx" },
  { mode: "strict", bytes: "a\n.\nb\r.\r\r\n.\n.\r\n\r\n.\r\n", body: "a\n.\nb\r.\r\r\n.\n.\r\n\r\n", rest: "" },
  { mode: "lenient", bytes: "a\n.\nMAIL", body: "a\n", rest: "MAIL" },
  { mode: "lenient", bytes: "a\n.\r\nMAIL", body: "a\n", rest: "MAIL" },
  { mode: "lenient", bytes: "a\r\n\r.\r\r\nMAIL", body: "a\r\n", rest: "MAIL" },
] as const;
for (const { mode, bytes, body, rest } of bodies)
  for (const chunkBytes of [1, 2, 3, bytes.length])
    test(`${mode} end of data in ${JSON.stringify(bytes)}, ${chunkBytes} at a time`, () => {
      const scanner = new BodyScanner(mode);
      let seen = "";
      let after: string | undefined;
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const piece = Buffer.from(bytes.slice(at, at + chunkBytes));
        if (after !== undefined) {
          after += piece.toString();
          continue;
        }
        const found = scanner.scan(piece);
        seen += found.body.toString();
        after = found.rest?.toString();
      }
      assert.deepEqual({ seen, after }, { seen: body, after: rest });
    });

test("the client's own stuffing", () => {
  assert.equal(stuffed("").toString(), ".\r\n");
  assert.equal(stuffed(".a\r\n\r\n..b").toString(), "..a\r\n\r\n...b\r\n.\r\n");
});
