import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";
import { type Postfix, type PostfixDelivery, startPostfix } from "../support/postfix.ts";
import { until } from "../support/until.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { newMessage, withoutStoreTrace } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

const SUBJECT = "bytes";
/** `head` and a body given as bytes: text that is not ASCII must not become UTF-8. */
const withBody = (...parts: (string | Buffer)[]): Buffer =>
  Buffer.concat([newMessage(SUBJECT, "").content, ...parts].map((part) => Buffer.from(part as string)));

/** Every byte but CR, LF and NUL, in lines of 64. */
const EIGHT_BIT = Buffer.from(
  Array.from({ length: 256 }, (_, byte) => byte)
    .filter((byte) => ![0, 10, 13].includes(byte))
    .flatMap((byte, index) => (index % 64 === 63 ? [byte, 13, 10] : [byte])),
);
const DOT_LINES = ["", "..", ".", "...", ". .", ".a", "a.", ".\t", "..\t.", ".", "", "."].join("\r\n");
/** Dots at the start of lines of every length, so that some stand at each boundary of a buffer. */
const dotEverywhere = (): string =>
  Array.from({ length: 700 }, (_, length) => `.${"x".repeat(length)}\r\n${".".repeat((length % 5) + 1)}\r\n`).join("");
const lines = (totalBytes: number): Buffer =>
  Buffer.alloc(totalBytes, `${"0123456789abcdef".repeat(4)}=?. \xe4\r\n`, "latin1");

const MB = 1024 * 1024;
interface ByteCase {
  readonly name: string;
  readonly content: () => Buffer;
  readonly parameters?: string;
  /** By sendmail(1), which need not end the last line. */
  readonly isLocal?: boolean;
  /** Cyrus adds Message-ID and Date where they lack, each time others. */
  readonly hasNoHeader?: boolean;
  /** What Cyrus says, where it does not take the message. */
  readonly cyrus?: { readonly status: string; readonly dsn: string };
}
const cases: readonly ByteCase[] = [
  { name: "no bytes at all", content: () => Buffer.alloc(0), hasNoHeader: true },
  { name: "no body", content: () => withBody() },
  { name: "no header", content: () => Buffer.from("\r\nbody only\r\n"), hasNoHeader: true },
  { name: "8-bit", content: () => withBody(EIGHT_BIT, "\r\n"), parameters: "BODY=8BITMIME" },
  { name: "8-bit, undeclared", content: () => withBody(EIGHT_BIT, "\r\n") },
  {
    name: "8-bit in the header",
    content: () => Buffer.concat([Buffer.from("Subject: \xfc\xff\r\n", "latin1"), withBody("x\r\n")]),
  },
  { name: "lines of dots", content: () => withBody(DOT_LINES, "\r\n") },
  { name: "a first line of dots", content: () => withBody(".\r\n..\r\nx\r\n") },
  { name: "dots at every boundary", content: () => withBody(dotEverywhere()) },
  { name: "empty lines only", content: () => withBody("\r\n".repeat(5000)) },
  {
    name: "lines of 998, 999, 2048 and 100,000 bytes",
    content: () => withBody([998, 999, 2048, 100_000].map((n) => `${"y".repeat(n)}\r\n`).join("")),
  },
  { name: "one line of 3 MB", content: () => withBody("z".repeat(3 * MB), "\r\n") },
  { name: "one line of dots, 1 MB", content: () => withBody(".".repeat(MB), "\r\n") },
  {
    name: "10,000 header lines",
    content: () =>
      Buffer.concat([
        Buffer.from(Array.from({ length: 10_000 }, (_, n) => `X-Many-${n}: value ${n}\r\n`).join("")),
        withBody("x\r\n"),
      ]),
  },
  { name: "no final newline", content: () => withBody("line\r\nlast"), isLocal: true },
  { name: "a dot without newline at the end", content: () => withBody("line\r\n."), isLocal: true },
  { name: "NUL", content: () => withBody("a\0b\r\n\0\r\n"), cyrus: { status: "bounced", dsn: "5.6.0" } },
  ...[4096, 16_384, 65_536].flatMap((size) =>
    [-1, 0, 1].map((more) => ({
      name: `${size + more} bytes`,
      content: () => withBody("w".repeat(size + more - withBody().length - 5), "\r\n.\r\n"),
    })),
  ),
  { name: "1 MB", content: () => withBody(lines(MB), "\r\n") },
  { name: "50 MB", content: () => withBody(lines(50 * MB), "\r\n") },
];

describe("a message arrives byte for byte", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus, mailshunt: Mailshunt;

  before(async () => {
    [dovecot, cyrus] = await Promise.all([
      started.add(
        startDovecot({ users: ["direct.dovecot", "proxied.dovecot", "raw"].map((user) => `${user}@example.com`) }),
      ),
      started.add(
        startCyrus({ users: ["direct.cyrus", "proxied.cyrus", "raw.cyrus"].map((user) => `${user}@example.com`) }),
      ),
    ]);
    const config = (folder: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "unix:${folder}/lmtp", owner: postfix, group: postfix, permissions: "0660" }
backends:
  old: { lmtp: "unix:${cyrus.lmtpSocket}" }
  new: { lmtp: "127.0.0.1:${dovecot.lmtpPort}" }
tables:
  users: { type: static, entries: { proxied.cyrus: old, proxied.dovecot: new, raw: new, raw.cyrus: old } }
routing: { key: localpart, tables: [users] }
`;
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
    const routes = {
      "direct.dovecot": `inet:127.0.0.1:${dovecot.lmtpPort}`,
      "direct.cyrus": `unix:${cyrus.lmtpSocket}`,
      "proxied.dovecot": `unix:${mailshunt.folder}/lmtp`,
      "proxied.cyrus": `unix:${mailshunt.folder}/lmtp`,
    };
    const entries = Object.entries(routes).map(([user, nexthop]) => `{ ${user}@example.com = lmtp:${nexthop} }`);
    const main = { virtual_mailbox_domains: "example.com", transport_maps: `inline:{ ${entries.join(", ")} }` };
    postfix = await started.add(startPostfix({ main }));
  });
  after(() => started.stop());

  const newest = async (user: string): Promise<Buffer> => {
    const store = user.endsWith("cyrus") ? cyrus : dovecot;
    const found = (await store.messages(`${user}@example.com`)).at(-1);
    if (found === undefined) throw new Error(`${user} has no message`);
    return withoutStoreTrace(found);
  };
  const submit = async ({ isLocal, parameters }: ByteCase, to: readonly string[], content: Buffer): Promise<string> => {
    if (isLocal !== true)
      return postfix.send({ from: "", to, ...(parameters === undefined ? {} : { parameters }) }, content);
    const from = postfix.log.text().length;
    await postfix.sendmail("s@x.example", to, content.toString("latin1").replaceAll("\r\n", "\n"));
    const line = await postfix.log.waitFor(/cleanup\[\d+\]: \w+: message-id=/, { from });
    return /: (\w+): message-id/.exec(line)?.[1] ?? "";
  };
  const outcome = (queueId: string, user: string): Promise<PostfixDelivery> =>
    until(
      `${queueId}: an outcome for ${user}`,
      () => postfix.deliveries(queueId).find(({ to }) => to === `${user}@example.com`),
      { describe: () => `${postfix.log.text().slice(-2000)}\n${mailshunt.log.text().slice(-2000)}` },
    );

  for (const one of cases)
    test(`${one.name}: as Postfix delivers it directly`, async () => {
      const content = one.content();
      const to = ["direct.dovecot", "direct.cyrus", "proxied.dovecot", "proxied.cyrus"];
      // One queue file for all four, so that Postfix's own headers are the same.
      const queueId = await submit(
        one,
        to.map((user) => `${user}@example.com`),
        content,
      );
      for (const store of ["dovecot", "cyrus"]) {
        const [direct, proxied] = [
          await outcome(queueId, `direct.${store}`),
          await outcome(queueId, `proxied.${store}`),
        ];
        assert.deepEqual([proxied.status, proxied.dsn], [direct.status, direct.dsn], proxied.text);
        const expected = store === "cyrus" ? one.cyrus : undefined;
        assert.equal(direct.status, expected?.status ?? "sent");
        if (expected !== undefined) continue;
        const [plain, shunted] = [await newest(`direct.${store}`), await newest(`proxied.${store}`)];
        const wanted = one.hasNoHeader === true ? withoutAddedHeaders(plain) : plain;
        const got = one.hasNoHeader === true ? withoutAddedHeaders(shunted) : shunted;
        assertSameBytes(got, wanted);
        assertHolds(plain, content, store === "dovecot");
      }
      await postfix.waitForEmptyQueue();
    });

  /** Speaks LMTP itself, as Postfix mends what it is given. */
  const converse = async (
    endpoint: Parameters<typeof connectLmtp>[0],
    dialog: (client: LmtpClient) => Promise<void>,
  ): Promise<void> => {
    using client = await connectLmtp(endpoint);
    await client.lhlo();
    await dialog(client);
    await client.expectInStep();
  };
  const toMailshunt = () => ({ kind: "unix", path: `${mailshunt.folder}/lmtp` }) as const;
  const toDovecot = () => ({ kind: "unix", path: dovecot.lmtpSocket }) as const;
  const countRaw = async (): Promise<[number, number]> => [
    (await dovecot.messages("raw@example.com")).length,
    (await cyrus.messages("raw.cyrus@example.com")).length,
  ];

  for (const content of ["", "\r\n", ".", "x", "Subject: y", "Subject: y\r\n\r\n.\r\n"])
    test(`${JSON.stringify(content)} by BDAT and by DATA`, async () => {
      const got: Buffer[] = [];
      for (const [endpoint, command] of [
        [toDovecot(), "DATA"],
        [toMailshunt(), "DATA"],
        [toMailshunt(), "BDAT"],
      ] as const) {
        const [before_] = await countRaw();
        await converse(endpoint, async (client) => {
          if (command === "DATA") {
            const replies = await client.transaction({ recipients: ["raw@example.com"], content });
            assert.match(replies.final[0] ?? "", /^250 2\.0\.0/);
            return;
          }
          await client.send(
            `MAIL FROM:<s@x.example>\r\nRCPT TO:<raw@example.com>\r\nBDAT ${content.length} LAST\r\n${content}`,
          );
          await client.expect("250", "250", "250 2.0.0");
        });
        assert.equal((await countRaw())[0], before_ + 1);
        got.push(await newest("raw"));
      }
      const [direct = Buffer.alloc(0), ...proxied] = got;
      for (const one of proxied) assertSameBytes(one, direct);
    });

  /**
   * Sequences that Dovecot 2.3 or Cyrus 3.6 take for the end of a message, and what must be stored for them, with LF line
   * ends: a bare LF ends a line, a bare CR is a blank, and a dot is off where the sender had to stuff it, after CR LF.
   */
  const falseEnds = [
    { sent: "\n.\n", stored: "\n.\n" },
    { sent: "\n.\r\n", stored: "\n.\n" },
    { sent: "\r\n.\n", stored: "\n\n" },
    { sent: "\r.\r", stored: " . " },
    { sent: "\r.\r\n", stored: " .\n" },
    { sent: "\r\n.\r", stored: "\n " },
    { sent: "\n.\r", stored: "\n. " },
    { sent: "\r.\n", stored: " .\n" },
    { sent: "\r\r\n.\r\r\n", stored: " \n \n" },
  ];
  for (const { sent, stored } of falseEnds)
    test(`${JSON.stringify(sent)} ends no message`, async () => {
      const [dovecotBefore, cyrusBefore] = await countRaw();
      const smuggled =
        "MAIL FROM:<evil@x.example>\r\nRCPT TO:<raw@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";
      const head = newMessage().content;
      const content = `${head}before${sent}${smuggled}after\r\n`;
      const recipients = ["raw@example.com", "raw.cyrus@example.com"];
      for (const chunkBytes of [1, content.length])
        await converse(toMailshunt(), async (client) => {
          const { final } = await client.transaction({ recipients, rawContent: `${content}.\r\n`, chunkBytes });
          assert.match(final[0] ?? "", /^250 /);
          assert.match(final[1] ?? "", /^250 /);
        });
      // Cyrus drops the second one, whose Message-ID and Date it knows.
      assert.deepEqual(await countRaw(), [dovecotBefore + 2, cyrusBefore + 1]);
      const wanted = `${head}before${stored}${smuggled}after\r\n`.replaceAll("\r\n", "\n");
      assert.equal((await newest("raw")).toString(), wanted);
      assert.equal((await newest("raw.cyrus")).toString(), wanted.replaceAll("\n", "\r\n"));
    });
});

/** What Cyrus adds to a message without a header of its own. */
function withoutAddedHeaders(message: Buffer): Buffer {
  const text = message.toString("latin1");
  return Buffer.from(text.replace(/^(?:Message-ID: <cmu-lmtpd-.*|Date: .*)\r\n/gm, ""), "latin1");
}

/** Says where two messages differ instead of printing 50 MB. */
function assertSameBytes(got: Buffer, wanted: Buffer): void {
  if (got.equals(wanted)) return;
  const at = wanted.findIndex((byte, index) => byte !== got[index]);
  const around = (bytes: Buffer): string => JSON.stringify(bytes.toString("latin1", Math.max(0, at - 40), at + 40));
  assert.fail(
    `${got.length} and ${wanted.length} bytes, from byte ${at} on: got ${around(got)}, wanted ${around(wanted)}`,
  );
}

/** The stored message ends with the content that was handed over; Dovecot stores LF line ends. */
function assertHolds(stored: Buffer, content: Buffer, hasLfEnds: boolean): void {
  const body = content.subarray(content.indexOf("\r\n\r\n") + 4);
  const text = hasLfEnds ? body.toString("latin1").replaceAll("\r\n", "\n") : body.toString("latin1");
  const tail = stored.subarray(-text.length - 2).toString("latin1");
  assert.ok(tail.includes(text.slice(0, 1_000_000)), "the stored message does not hold the body");
}
