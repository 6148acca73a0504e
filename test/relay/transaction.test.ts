import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeBackend } from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp } from "../support/lmtp-client.ts";

test("one message, two stores, replies in the order of the recipients", async () => {
  await using a = await startFakeBackend({ script: { final: "250 2.0.0 saved by a" } });
  await using b = await startFakeBackend({ script: { final: "250 2.0.0 saved by b" } });
  await using proxy = await startProxy({
    backends: { a: a.endpoint, b: b.endpoint },
    users: { ann: "a", bob: "b", cy: "a" },
  });
  using client = await connectLmtp(proxy.endpoint);
  await client.lhlo();
  const replies = await client.transaction({
    recipients: ["ann@x.example", "bob@x.example", "cy@x.example"],
    content: "Subject: hi\r\n\r\n.dot\r\n",
  });
  assert.match(replies.data, /^354 /);
  assert.deepEqual(
    replies.final.map((reply) => reply.slice(0, 22)),
    ["250 2.0.0 saved by a", "250 2.0.0 saved by b", "250 2.0.0 saved by a"],
  );
  assert.equal(a.delivered[0]?.body.toString(), "Subject: hi\r\n\r\n..dot\r\n");
  assert.deepEqual(
    a.delivered[0]?.recipients.map((recipient) => recipient.address),
    ["ann@x.example", "cy@x.example"],
  );
  assert.equal(b.delivered.length, 1);
  assert.deepEqual(
    proxy.deliveries.map(({ recipient, backend, status }) => `${recipient} ${backend} ${status}`),
    ["ann@x.example a sent", "bob@x.example b sent", "cy@x.example a sent"],
  );
  await client.expectInStep();
  assert.deepEqual([...a.violations, ...b.violations], []);
});
