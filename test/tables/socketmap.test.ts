import assert from "node:assert/strict";
import { test } from "node:test";
import { testDialog } from "./dialog.ts";
import type { Dialog } from "./dialog.ts";
import { memoryTable } from "./memory-table.ts";
import { SOCKETMAP, serveTables } from "./served.ts";
import type { ServedOptions } from "./served.ts";

const LONG_KEY = `${"k".repeat(5000)}@example.com`;

const serve = (): ServedOptions => ({
  listener: SOCKETMAP,
  tables: [
    memoryTable(
      "alias",
      {
        "user@example.com": "admin@example.com",
        "list@example.com": ["user1@example.com", "user2@example.com"],
        "odd user@example.com": "odd",
        "Üser@example.com": "ü@example.com",
        "empty@example.com": "",
        "late@example.com": "late",
        [LONG_KEY]: "v".repeat(90_000),
        "huge@example.com": "h".repeat(99_998),
        "": "nobody",
      },
      {
        failing: new Map([["down@example.com", "db\ttimeout\n"]]),
        late: new Set(["late@example.com"]),
      },
    ),
    memoryTable("dom", { "example.com": "yes" }),
  ],
});

const dialogs: readonly Dialog[] = [
  {
    name: "found, absent, failed",
    steps: [
      { C: "22:alias user@example.com," },
      { S: "20:OK admin@example.com," },
      { C: "22:alias none@example.com," },
      { S: "9:NOTFOUND ," },
      { C: "22:alias down@example.com," },
      { S: "16:TEMP db timeout ," },
      { C: "22:alias list@example.com," },
      { S: "38:OK user1@example.com,user2@example.com," },
    ],
  },
  {
    name: "several maps over one connection, and one that is not served",
    steps: [
      { C: "15:dom example.com,22:alias user@example.com,13:box a@b.c.def,15:dom example.org," },
      { S: "6:OK yes,20:OK admin@example.com,31:TEMP no table is named box here,9:NOTFOUND ," },
    ],
  },
  {
    name: "keys of every kind",
    steps: [
      { C: "26:alias odd user@example.com," },
      { S: "6:OK odd," },
      { C: "23:alias \xc3\x9cser@example.com," },
      { S: "17:OK \xc3\xbc@example.com," },
      { C: "6:alias ," },
      { S: "9:OK nobody," },
      { C: "7:alias *,16:alias \xff@\xc3\0\n\r\t:,;," },
      { S: "9:NOTFOUND ,9:NOTFOUND ," },
    ],
  },
  { name: "an empty value", steps: [{ C: "23:alias empty@example.com," }, { S: "3:OK ," }] },
  {
    name: "a late answer comes before those to what was asked after it",
    steps: [
      { C: "22:alias late@example.com,22:alias none@example.com,22:alias late@example.com," },
      { S: "7:OK late,9:NOTFOUND ,7:OK late," },
    ],
  },
  ...[
    { what: "no length", sent: "alias user@example.com\n" },
    { what: "a leading zero", sent: "022:alias user@example.com," },
    { what: "no comma", sent: "22:alias user@example.com;" },
    { what: "too long", sent: "100001:alias " },
    { what: "a length without end", sent: "11111111111" },
    { what: "no map", sent: "5:alias," },
    { what: "nothing", sent: "0:," },
    { what: "a negative length", sent: "-1:x," },
  ].map(({ what, sent }): Dialog => ({
    name: `malformed, ${what}: what came before is answered, then it closes`,
    steps: [{ C: `22:alias late@example.com,${sent}22:alias user@example.com,` }, { S: "7:OK late," }, "server closes"],
  })),
  {
    name: "a client that says no more gets all its replies, and half a request none",
    steps: [
      { C: "22:alias late@example.com,22:alias user@example.com,22:alias user@example" },
      "client ends",
      { S: "7:OK late,20:OK admin@example.com," },
      "server closes",
    ],
  },
];
for (const dialog of dialogs) testDialog(dialog, serve);

const bytes = "22:alias user@example.com,15:dom example.com,6:alias ,";
const wanted = "20:OK admin@example.com,6:OK yes,9:OK nobody,";
test("cut at every byte", async (t) => {
  const { connect } = await serveTables(t, serve());
  const client = await connect();
  for (let cut = 1; cut < bytes.length; cut += 1) {
    await client.send(bytes.slice(0, cut));
    await client.send(bytes.slice(cut));
    await client.expect(wanted);
  }
});

test("keys of 5 kB and values of 90 kB are taken and given, and what Postfix would not read is TEMP", async (t) => {
  const { connect } = await serveTables(t, serve());
  const client = await connect();
  const request = `5018:alias ${LONG_KEY},`;
  for (const chunkBytes of [1000, 1024, request.length])
    for (let at = 0; at < request.length; at += chunkBytes) await client.send(request.slice(at, at + chunkBytes));
  for (const _ of [1, 2, 3]) await client.expect(`90003:OK ${"v".repeat(90_000)},`);
  await client.send("22:alias huge@example.com,");
  await client.expect("68:TEMP answer of 100001 bytes, more than the 100000 that Postfix reads,");
});

test("a name on the wire is a table of another name, and no other is served", async (t) => {
  const listener = { ...SOCKETMAP, tables: new Map([["virtual", "alias"]]) };
  const { connect, lines } = await serveTables(t, { ...serve(), listener });
  const client = await connect();
  await client.send("24:virtual user@example.com,22:alias user@example.com,");
  await client.expect("20:OK admin@example.com,33:TEMP no table is named alias here,");
  assert.match(lines.join("\n"), /asks for table "alias", which is not served at 127.0.0.1:0: known are virtual/);
});

test("names that are not served do not fill the log, whatever they are", async (t) => {
  const { connect, lines } = await serveTables(t, serve());
  const client = await connect();
  client.socket.write(`90001:${"x".repeat(90_000)} ,`);
  for (let n = 0; n < 500; n += 1) client.socket.write(`7:map${String(n).padStart(3, "0")} ,`);
  client.end();
  assert.equal((await client.takeAll()).split("TEMP ").length, 502);
  assert.ok(lines.length <= 20, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length < 400, `a line of ${line.length} characters`);
});
