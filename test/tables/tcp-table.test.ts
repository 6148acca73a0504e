import assert from "node:assert/strict";
import { test } from "node:test";
import { testDialog } from "./dialog.ts";
import type { Dialog } from "./dialog.ts";
import { memoryTable } from "./memory-table.ts";
import { serveTables, TCP_TABLE } from "./served.ts";
import type { ServedOptions } from "./served.ts";

const LONG_KEY = `${"k".repeat(5000)}@example.com`;

const serve = (): ServedOptions => ({
  listener: TCP_TABLE,
  tables: [
    memoryTable(
      "alias",
      {
        "joe smith@example.com": "lmtp:unix:private/a",
        "100%@example.com": "50% off",
        "Üser@example.com": "ü",
        "empty@example.com": "",
        "late@example.com": "late",
        [LONG_KEY]: "v".repeat(4091),
        "huge@example.com": "v".repeat(4092),
      },
      { failing: new Map([["down@example.com", "db timeout"]]), late: new Set(["late@example.com"]) },
    ),
  ],
});

const dialogs: readonly Dialog[] = [
  {
    name: "found, absent, failed",
    steps: [
      { C: "get joe%20smith@example.com\n" },
      { S: "200 lmtp:unix:private/a\n" },
      { C: "get none@example.com\n" },
      { S: "500 not%20found\n" },
      { C: "get down@example.com\n" },
      { S: "400 db%20timeout\n" },
    ],
  },
  {
    name: "every byte may be encoded, and what must be is",
    steps: [
      {
        C: "get 100%25@example.com\nget %c3%9Cser@example.com\nget \xc3\x9cser@example.com\nget %6Ao%65%20smith%40example.com\n",
      },
      { S: "200 50%25%20off\n200 %C3%BC\n200 %C3%BC\n200 lmtp:unix:private/a\n" },
      { C: "get *\nget %00%0a%FF\nget \n" },
      { S: "500 not%20found\n500 not%20found\n500 not%20found\n" },
    ],
  },
  { name: "an empty value", steps: [{ C: "get empty@example.com\n" }, { S: "200 \n" }] },
  {
    name: "by hand, with CR LF and blanks that nobody encoded",
    steps: [{ C: "get joe smith@example.com\r\n" }, { S: "200 lmtp:unix:private/a\n" }],
  },
  {
    name: "a late answer comes before those to what was asked after it, and put is not taken",
    steps: [
      { C: "get late@example.com\nget none\nput a b\nget late@example.com\n" },
      { S: "200 late\n500 not%20found\n400 put%20is%20not%20supported\n200 late\n" },
    ],
  },
  ...["GET x\n", "x\n", "\n", "get %4\n", "get %zz\n", "22:alias user@example.com,\n"].map((sent): Dialog => ({
    name: `malformed, ${JSON.stringify(sent)}: what came before is answered, then it closes`,
    steps: [{ C: `get late@example.com\n${sent}get late@example.com\n` }, { S: "200 late\n" }, "server closes"],
  })),
  {
    name: "a client that says no more gets all its replies, and half a line none",
    steps: [
      { C: "get late@example.com\nget none\nget late@example.com" },
      "client ends",
      { S: "200 late\n500 not%20found\n" },
      "server closes",
    ],
  },
];
for (const dialog of dialogs) testDialog(dialog, serve);

const bytes = "get 100%25@example.com\nget none\n";
test("cut at every byte", async (t) => {
  const { connect } = await serveTables(t, serve());
  const client = await connect();
  for (let cut = 1; cut < bytes.length; cut += 1) {
    await client.send(bytes.slice(0, cut));
    await client.send(bytes.slice(cut));
    await client.expect("200 50%25%20off\n500 not%20found\n");
  }
});

test("a key of 5 kB, a reply of 4096 bytes, and none that Postfix would not read", async (t) => {
  const { connect } = await serveTables(t, serve());
  const client = await connect();
  await client.send(`get ${LONG_KEY}\nget huge@example.com\n`);
  await client.expect(`200 ${"v".repeat(4091)}\n`);
  await client.expect("400 answer%20of%204097%20bytes,%20more%20than%20the%204096%20that%20Postfix%20reads\n");
});

test("a line of more than 100,000 bytes closes, and what came before it is answered", async (t) => {
  const { connect, lines } = await serveTables(t, serve());
  const client = await connect();
  client.socket.write(`get none\nget ${"x".repeat(100_000)}\n`);
  await client.expect("500 not%20found\n");
  await client.expectEnd();
  assert.match(lines.join("\n"), /tcp-table client from 127.0.0.1 at .* disconnected: line exceeds 100000 bytes/);
});

test("a table that a reload took away fails until one brings it back", async (t) => {
  const { connect, tables } = await serveTables(t, serve());
  const client = await connect();
  const table = tables.get("alias");
  tables.delete("alias");
  await client.send("get late@example.com\n");
  await client.expect("400 there%20is%20no%20table%20alias\n");
  if (table !== undefined) tables.set("alias", table);
  await client.send("get late@example.com\n");
  await client.expect("200 late\n");
});
