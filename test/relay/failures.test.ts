import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeBackend } from "../support/fake-backend.ts";
import type { Script } from "../support/fake-backend-types.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp } from "../support/lmtp-client.ts";

/**
 * What the client hears when the first of two stores does the wrong thing at each stage: its reply to RCPT, or, where
 * RCPT was accepted, the final one. The recipient of the second store must not notice anything.
 */
interface Case {
  readonly name: string;
  readonly script: Script;
  readonly want: RegExp;
  readonly status: "deferred" | "bounced" | "uncertain";
}

const cases: Case[] = [
  {
    name: "closes instead of greeting",
    script: { greeting: { do: "close" } },
    want: /^451 4\.4\.1 /,
    status: "deferred",
  },
  {
    name: "greets with 421",
    script: { greeting: "421 4.3.2 busy" },
    want: /^451 4\.4\.1 .*421 4\.3\.2 busy/,
    status: "deferred",
  },
  {
    name: "greets with 554",
    script: { greeting: "554 go away" },
    want: /^451 4\.3\.5 .*554 go away/,
    status: "deferred",
  },
  {
    name: "greets with garbage",
    script: { greeting: { do: "raw", bytes: "SSH-2.0-x\r\n" } },
    want: /^451 4\.4\.1 /,
    status: "deferred",
  },
  { name: "refuses LHLO", script: { lhlo: "500 5.5.1 what" }, want: /^451 4\.3\.5 /, status: "deferred" },
  { name: "resets at LHLO", script: { lhlo: { do: "reset" } }, want: /^451 4\.4\.1 /, status: "deferred" },
  {
    name: "refuses the sender",
    script: { mail: "550 5.1.8 bad sender" },
    want: /^550 5\.1\.8 bad sender/,
    status: "bounced",
  },
  { name: "defers the sender", script: { mail: "451 4.3.0 later" }, want: /^451 4\.3\.0 later/, status: "deferred" },
  {
    name: "refuses MAIL's syntax",
    script: { mail: "501 5.5.4 syntax" },
    want: /^451 4\.3\.0 .*501 5\.5\.4/,
    status: "deferred",
  },
  {
    name: "refuses MAIL's parameters",
    script: { mail: "555 5.5.4 unsupported" },
    want: /^451 4\.3\.0 /,
    status: "deferred",
  },
  { name: "wants a login", script: { mail: "530 5.7.0 authenticate" }, want: /^451 4\.3\.0 /, status: "deferred" },
  {
    name: "defers for want of a login",
    script: { mail: "430 Authentication required" },
    want: /^430 4\.0\.0 Auth/,
    status: "deferred",
  },
  { name: "closes at MAIL", script: { mail: { do: "close" } }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "says 421 to MAIL", script: { mail: "421 4.3.2 bye" }, want: /^451 4\.4\.2 /, status: "deferred" },
  {
    name: "knows no such user",
    script: { rcpt: "550 5.1.1 unknown" },
    want: /^550 5\.1\.1 unknown/,
    status: "bounced",
  },
  {
    name: "knows no such user in three lines",
    script: { rcpt: "550-Mailbox unknown.\n550-or so\n550 5.1.1 User unknown" },
    want: /^550-5\.1\.1 Mailbox unknown\.\n550-5\.1\.1 or so\n550 5\.1\.1 User unknown$/,
    status: "bounced",
  },
  {
    name: "is over quota at RCPT",
    script: { rcpt: "452 4.2.2 Over quota" },
    want: /^452 4\.2\.2 /,
    status: "deferred",
  },
  {
    name: "refuses RCPT without enhanced code",
    script: { rcpt: "550 nobody" },
    want: /^550 5\.0\.0 nobody/,
    status: "bounced",
  },
  { name: "refuses RCPT's syntax", script: { rcpt: "501 5.5.4 huh" }, want: /^451 4\.3\.0 /, status: "deferred" },
  { name: "says 421 to RCPT", script: { rcpt: "421 4.3.2 bye" }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "says 354 to RCPT", script: { rcpt: "354 go ahead" }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "closes at RCPT", script: { rcpt: { do: "close" } }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "resets at RCPT", script: { rcpt: { do: "reset" } }, want: /^451 4\.4\.2 /, status: "deferred" },
  {
    name: "talks garbage at RCPT",
    script: { rcpt: { do: "raw", bytes: "hello?\r\n" } },
    want: /^451 4\.4\.2 /,
    status: "deferred",
  },
  {
    name: "changes its code within a reply",
    script: { rcpt: { do: "raw", bytes: "250-yes\r\n550 no\r\n" } },
    want: /^451 4\.4\.2 /,
    status: "deferred",
  },
  { name: "refuses DATA", script: { data: "554 5.6.0 not now" }, want: /^554 5\.6\.0 not now/, status: "bounced" },
  { name: "defers DATA", script: { data: "452 4.3.1 disk full" }, want: /^452 4\.3\.1 /, status: "deferred" },
  { name: "does not know DATA", script: { data: "502 5.5.1 what" }, want: /^451 4\.3\.0 /, status: "deferred" },
  { name: "says 250 to DATA", script: { data: "250 2.0.0 ok" }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "says 421 to DATA", script: { data: "421 4.3.2 bye" }, want: /^451 4\.4\.2 /, status: "deferred" },
  { name: "closes at DATA", script: { data: { do: "close" } }, want: /^451 4\.4\.2 /, status: "deferred" },
  {
    name: "refuses the message",
    script: { final: "554 5.6.0 invalid header" },
    want: /^554 5\.6\.0 invalid header/,
    status: "bounced",
  },
  {
    name: "is over quota after the message",
    script: { final: "552 5.2.2 Quota exceeded" },
    want: /^552 5\.2\.2 /,
    status: "bounced",
  },
  { name: "does not know the end", script: { final: "500 5.5.2 what" }, want: /^451 4\.3\.0 /, status: "deferred" },
  {
    name: "says 421 after the message",
    script: { final: "421 4.3.2 Shutting down" },
    want: /^451 4\.4\.2 .*421 4\.3\.2 Shutting down.*twice/,
    status: "uncertain",
  },
  {
    name: "says 354 after the message",
    script: { final: "354 again" },
    want: /^451 4\.4\.2 .*twice/,
    status: "uncertain",
  },
  { name: "closes after the dot", script: { dot: { do: "close" } }, want: /^451 4\.4\.2 .*twice/, status: "uncertain" },
  { name: "resets after the dot", script: { dot: { do: "reset" } }, want: /^451 4\.4\.2 .*twice/, status: "uncertain" },
  {
    name: "talks garbage after the dot",
    script: { dot: { do: "raw", bytes: "\0\xff\r\n" } },
    want: /^451 4\.4\.2 .*twice/,
    status: "uncertain",
  },
];

for (const replyChunkBytes of [undefined, 1])
  for (const { name, script, want, status } of cases)
    test(`a store that ${name} costs only its own recipient${replyChunkBytes === undefined ? "" : ", byte by byte"}`, async () => {
      await using bad = await startFakeBackend({
        script,
        ...(replyChunkBytes === undefined ? {} : { replyChunkBytes }),
      });
      await using good = await startFakeBackend();
      await using proxy = await startProxy({
        backends: { bad: bad.endpoint, good: good.endpoint },
        users: { ann: "bad", bob: "good" },
      });
      using client = await connectLmtp(proxy.endpoint);
      await client.lhlo();
      const content = `Subject: x\r\n\r\n${"line of the body\r\n".repeat(50)}`;
      const replies = await client.transaction({ recipients: ["ann@x.example", "bob@x.example"], content });
      const [ann, bob] = replies.rcpt;
      const finals = [...replies.final];
      const heard = ann?.startsWith("250") === true ? finals.shift() : ann;
      assert.match(heard ?? "", want);
      assert.match(bob ?? "", /^250 /);
      assert.equal(finals.length, 1);
      assert.match(finals[0] ?? "", /^250 2\./);
      await client.expectInStep();
      assert.equal(good.delivered.length, 1);
      const line = proxy.deliveries.find(({ recipient }) => recipient === "ann@x.example");
      assert.equal(line?.status, status);
      assert.equal(proxy.deliveries.length, 2);
      // The session lives on: the same client sends the next message.
      const next = await client.transaction({ recipients: ["bob@x.example"], content: "x\r\n" });
      assert.match(next.final[0] ?? "", /^250 /);
      assert.equal(good.delivered.length, 2);
      assert.deepEqual(good.violations, []);
      assert.deepEqual(bad.violations, []);
    });

const stalls: { name: string; script: Script; want: RegExp; status: string }[] = [
  { name: "greeting", script: { greeting: { do: "stall" } }, want: /^451 4\.4\.1 /, status: "deferred" },
  { name: "LHLO", script: { lhlo: { do: "stall" } }, want: /^451 4\.4\.1 /, status: "deferred" },
  { name: "MAIL", script: { mail: { do: "stall" } }, want: /^451 4\.4\.2 .*MAIL in time/, status: "deferred" },
  { name: "RCPT", script: { rcpt: { do: "stall" } }, want: /^451 4\.4\.2 .*RCPT in time/, status: "deferred" },
  { name: "DATA", script: { data: { do: "stall" } }, want: /^451 4\.4\.2 .*DATA in time/, status: "deferred" },
  { name: "the end of data", script: { dot: { do: "stall" } }, want: /^451 4\.4\.2 .*twice/, status: "uncertain" },
];
for (const { name, script, want, status } of stalls)
  test(`a store silent at ${name} is given up, and only it`, async () => {
    await using bad = await startFakeBackend({ script });
    await using good = await startFakeBackend();
    const timeouts = { connectMs: 50, greetingMs: 50, commandMs: 50, dataMs: 50, bodyMs: 50, finalMs: 50 };
    await using proxy = await startProxy({
      backends: { bad: { lmtp: bad.endpoint, timeouts }, good: good.endpoint },
      users: { ann: "bad", bob: "good" },
    });
    using client = await connectLmtp(proxy.endpoint);
    await client.lhlo();
    const replies = await client.transaction({ recipients: ["ann@x.example", "bob@x.example"], content: "x\r\n" });
    const finals = [...replies.final];
    const heard = replies.rcpt[0]?.startsWith("250") === true ? finals.shift() : replies.rcpt[0];
    assert.match(heard ?? "", want);
    assert.match(finals[0] ?? "", /^250 /);
    await client.expectInStep();
    assert.equal(proxy.deliveries.find(({ recipient }) => recipient === "ann@x.example")?.status, status);
    assert.equal(good.delivered.length, 1);
  });

test("a store that takes no bytes is cut loose, the other goes on", async () => {
  await using bad = await startFakeBackend({ script: { body: { do: "slow", pauseMs: 60_000 } } });
  await using good = await startFakeBackend({ keepBodies: false });
  const timeouts = { connectMs: 5000, greetingMs: 5000, commandMs: 5000, dataMs: 5000, bodyMs: 100, finalMs: 5000 };
  await using proxy = await startProxy({
    backends: { bad: { lmtp: bad.endpoint, timeouts }, good: good.endpoint },
    users: { ann: "bad", bob: "good" },
  });
  using client = await connectLmtp(proxy.endpoint);
  await client.lhlo();
  const content = `${"0123456789".repeat(7)}\r\n`.repeat(200_000);
  const replies = await client.transaction({ recipients: ["ann@x.example", "bob@x.example"], content });
  assert.match(replies.final[0] ?? "", /^451 4\.4\.2 /);
  assert.match(replies.final[1] ?? "", /^250 /);
  assert.equal(bad.delivered.length, 0);
  assert.equal(good.delivered[0]?.bodyBytes, content.length);
});

for (const [name, behaviour, want] of [
  ["closes", { do: "close", afterBytes: 1 }, /^451 4\.4\.2 /],
  ["resets", { do: "reset", afterBytes: 1 }, /^451 4\.4\.2 /],
  ["answers", { do: "reply", text: "552 5.3.4 too big", afterBytes: 1 }, /^451 4\.4\.2 .*552 5\.3\.4/],
] as const)
  test(`a store that ${name} during the body costs only its own recipient`, async () => {
    await using bad = await startFakeBackend({ script: { body: behaviour } });
    await using good = await startFakeBackend();
    await using proxy = await startProxy({
      backends: { bad: bad.endpoint, good: good.endpoint },
      users: { ann: "bad", bob: "good" },
    });
    using client = await connectLmtp(proxy.endpoint);
    await client.lhlo();
    await client.send("MAIL FROM:<s@x.example>\r\nRCPT TO:<ann@x.example>\r\nRCPT TO:<bob@x.example>\r\nDATA\r\n");
    await client.expect("250", "250", "250", "354");
    await client.send("first line\r\n");
    await bad.waitFor("close");
    await client.send("second line\r\n.\r\n");
    const [ann] = await client.expect("451", "250");
    assert.match(ann ?? "", want);
    assert.equal(bad.delivered.length, 0);
    assert.equal(good.delivered[0]?.body.toString(), "first line\r\nsecond line\r\n");
    // A reset may be noticed only once the dot is on its way.
    const line = proxy.deliveries.find(({ recipient }) => recipient === "ann@x.example");
    assert.ok(line?.status === "deferred" || (name === "resets" && line?.status === "uncertain"));
  });
