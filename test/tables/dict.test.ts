import assert from "node:assert/strict";
import { test } from "node:test";
import { testDialog } from "./dialog.ts";
import type { Dialog } from "./dialog.ts";
import { memoryTable } from "./memory-table.ts";
import { DICT, serveTables } from "./served.ts";
import type { ServedOptions } from "./served.ts";

const HELLO = "H3\t2\t0\t\tmeta\n";

const serve = (): ServedOptions => ({
  listener: DICT,
  tables: [
    memoryTable(
      "meta",
      {
        a: "val 1",
        late: "at last",
        odd: "a\tb\nc\x01d\r\0e \udcff",
        "k\ty": "odd key",
        empty: "",
        n: "9223372036854775807",
        "box/b": "2",
        "box/a": "3",
        "box/sub/x": "1",
        "box/a2": "1",
        "broken/1": "1",
        "broken/2": "2",
        "m/x/u/1@example.com": "slash",
      },
      {
        failing: new Map([
          ["down", "the source is down\tand\nout"],
          ["broken/2", "broke off"],
        ]),
        late: new Set(["late"]),
        uncertain: new Set(["maybe"]),
      },
    ),
    { name: "fixed", lookup: () => ({ kind: "absent" }) },
  ],
});

const dialogs: readonly Dialog[] = [
  {
    name: "a late answer comes before those to what was asked after it",
    steps: [
      { C: `${HELLO}Lshared/late\t\nLshared/a\t\nB1\t\nS1\tshared/late\tnow\nC1\nLshared/late\t\nLshared/none\t\n` },
      { S: "Oat last\nOval 1\nO1\nOnow\nN\n" },
    ],
  },
  {
    name: "any byte in keys and values",
    steps: [
      { C: `${HELLO}Lshared/odd\t\nLshared/k\x01ty\t\nLshared/empty\t\n` },
      { S: "Oa\x01tb\x01nc\x011d\x01r\x010e \xff\nOodd key\nO\n" },
      { C: "B1\t\nS1\tshared/\xfc\x01n\t\x010\x011\x01t\x01n\x01r\xff\x01x\x01\nC1\nLshared/\xfc\x01n\t\n" },
      { S: "O1\nO\x010\x011\x01t\x01n\x01r\xffx\n" },
    ],
  },
  {
    name: "iterations by each flag",
    steps: [
      { C: `${HELLO}I0\t0\tshared/box/\t\n` },
      { S: "Oshared/box/b\t2\nOshared/box/a\t3\nOshared/box/a2\t1\n\n" },
      { C: "I1\t0\tshared/box/\t\n" },
      { S: "Oshared/box/b\t2\nOshared/box/a\t3\nOshared/box/sub/x\t1\nOshared/box/a2\t1\n\n" },
      { C: "I3\t0\tshared/box/\t\n" },
      { S: "Oshared/box/a\t3\nOshared/box/a2\t1\nOshared/box/b\t2\nOshared/box/sub/x\t1\n\n" },
      { C: "I4\t2\tshared/box/\t\n" },
      { S: "Oshared/box/a2\t1\nOshared/box/b\t2\n\n" },
      { C: "I9\t0\tshared/box/\t\n" },
      { S: "Oshared/box/b\t\nOshared/box/a\t\nOshared/box/sub/x\t\nOshared/box/a2\t\n\n" },
      { C: "I16\t0\tshared/box/a\t\n" },
      { S: "Oshared/box/a\t3\n\n" },
      { C: "I32\t1\tshared/box/\t\n" },
      { S: "Oshared/box/b\t2\n\n" },
      { C: "I16\t0\tshared/box/none\t\nI0\t0\tshared/none/\t\n" },
      { S: "\n\n" },
    ],
  },
  {
    name: "an iteration that fails ends with the failure alone",
    steps: [
      { C: `${HELLO}I0\t0\tshared/broken/\t\nLshared/a\t\nI16\t0\tshared/down\t\nLshared/a\t\n` },
      { S: "Oshared/broken/1\t1\nFbroke off\nOval 1\nFthe source is down and out\nOval 1\n" },
    ],
  },
  {
    name: "transactions",
    steps: [
      { C: `${HELLO}B1\t\nC1\n` },
      { S: "O1\n" },
      { C: "B1\t\nS1\tshared/b\tx\nU1\tshared/a\nS1\tshared/down\ty\nC1\nLshared/b\t\nLshared/a\t\n" },
      { S: "F1\tthe source is down and out\nN\nOval 1\n" },
      { C: "B4294967295\t\nS4294967295\tshared/maybe\tx\nC4294967295\n" },
      { S: "W4294967295\tmaybe may be written\n" },
      { C: "B2\t\nA2\tshared/n\t-9223372036854775807\nC2\nLshared/n\t\n" },
      { S: "O2\nO0\n" },
      { C: "B3\t\nS3\tshared/b\tx\nR3\nLshared/b\t\n" },
      { S: "N\n" },
    ],
  },
  {
    name: "a table that cannot be written or listed fails, and reads",
    steps: [
      { C: "H3\t2\t0\t\tfixed\nB1\t\nS1\tshared/a\tx\nC1\nI0\t0\tshared/\t\nLshared/a\t\n" },
      { S: "F1\ttable fixed cannot be written\nFtable fixed cannot be listed\nN\n" },
    ],
  },
  {
    name: "a user's name with a slash",
    steps: [{ C: `${HELLO}Lpriv/m/x\tu/1@example.com\nLpriv/m/x/u\t1@example.com\n` }, { S: "Oslash\nOslash\n" }],
  },
  ...[
    { what: "an unknown command", sent: "Zwhat\n" },
    { what: "an empty line", sent: "\n" },
    { what: "a second handshake", sent: HELLO },
    { what: "a private key of nobody", sent: "Lpriv/a\t\n" },
    { what: "a key of no kind", sent: "La\t\n" },
    { what: "a commit of nothing", sent: "C9\n" },
    { what: "a change of nothing", sent: "S9\tshared/a\tx\n" },
    { what: "a transaction begun twice", sent: "B1\t\nB1\t\n" },
    { what: "an increment by no number", sent: "B1\t\nA1\tshared/n\tmuch\n" },
    { what: "an iteration without flags", sent: "I\n" },
  ].map(({ what, sent }): Dialog => ({
    name: `${what} closes, after what came before is answered`,
    steps: [{ C: `${HELLO}Lshared/late\t\n${sent}Lshared/a\t\n` }, { S: "Oat last\n" }, "server closes"],
  })),
  ...[
    { what: "an unknown dict", sent: "H3\t2\t0\t\tnone\nLshared/a\t\n" },
    { what: "major 1", sent: "H1\t0\t0\t\tmeta\nLshared/a\t\n" },
    { what: "major 5", sent: "H5\t0\t0\t\tmeta\nLshared/a\t\n" },
    { what: "no handshake", sent: "Lshared/a\t\n" },
    { what: "a broken handshake", sent: "H3\t2\n" },
    { what: "another protocol", sent: "GET / HTTP/1.0\r\n\r\n" },
  ].map(({ what, sent }): Dialog => ({ name: `${what} closes without a word`, steps: [{ C: sent }, "server closes"] })),
  {
    name: "half a line at the end is no command",
    steps: [{ C: `${HELLO}Lshared/a\t\nLshared/a` }, { S: "Oval 1\n" }, "client ends", "server closes"],
  },
  {
    name: "a client that says no more gets all its replies",
    steps: [
      { C: `${HELLO}Lshared/late\t\nLshared/a\t\n` },
      "client ends",
      { S: "Oat last\nOval 1\n" },
      "server closes",
    ],
  },
];
for (const dialog of dialogs) testDialog(dialog, serve);

test("what was not committed is dropped with the connection", async (t) => {
  const table = memoryTable("meta", { a: "old" });
  const { connect } = await serveTables(t, { listener: DICT, tables: [table] });
  for (const leave of ["end", "destroy"] as const) {
    const client = await connect();
    await client.send(`${HELLO}B1\t\nS1\tshared/a\tnew\nB2\t\nU2\tshared/a\nC1`);
    if (leave === "end") {
      client.end();
      await client.expectEnd();
    } else client.socket.destroy();
  }
  const last = await connect();
  await last.send(`${HELLO}Lshared/a\t\n`);
  await last.expect("Oold\n");
  assert.deepEqual(table.writes, []);
});

test("a transaction is one write, in order, and knows its expiry", async (t) => {
  const table = memoryTable("meta", { n: "1" });
  const { connect } = await serveTables(t, { listener: DICT, tables: [table] });
  const client = await connect();
  await client.send(
    "H4\t0\t0\t\tmeta\nB1\tbob\t60\nS1\tpriv/x\tv\nU1\tshared/y\nA1\tshared/n\t-2\nS1\tpriv/x\tw\nC1\n",
  );
  await client.expect("O1\n");
  assert.deepEqual(table.writes, [
    [
      { kind: "set", key: "x/bob", value: "v", expireSeconds: 60 },
      { kind: "unset", key: "y" },
      { kind: "increment", key: "n", by: -2n },
      { kind: "set", key: "x/bob", value: "w", expireSeconds: 60 },
    ],
  ]);
});

test("a name on the wire is a table of another name; keys of users are kept apart by the style `path`", async (t) => {
  const table = memoryTable("attributes", {});
  const listener = { ...DICT, tables: new Map([["meta", "attributes"]]), keys: "path" } as const;
  const { connect, lines } = await serveTables(t, { listener, tables: [table] });
  const client = await connect();
  await client.send(`${HELLO}B1\tu/1\nS1\tpriv/x\tv\nS1\tshared/x\tw\nC1\nLpriv/x\tu/1\nLshared/x\tu/1\nLpriv/x\t1\n`);
  await client.expect("O1\nOv\nOw\nN\n");
  await client.send("I1\t0\tpriv/\tu/1\n");
  await client.expect("Opriv/x\tv\n\n");
  assert.deepEqual([...table.entries.keys()], ["priv/u%2F1/x", "shared/x"]);

  const other = await connect();
  await other.send("H3\t2\t0\t\tattributes\n");
  await other.expectEnd();
  const long = await connect();
  long.socket.write(`H3\t2\t0\t\t${"x".repeat(500_000)}\n`);
  await long.expectEnd();
  assert.match(lines.join("\n"), /asks for table "attributes", which is not served at .*: known are meta/);
  for (const line of lines) assert.ok(line.length < 400, `a line of ${line.length} characters`);
});

test("a line of more than 1 MiB closes, and what came before it is answered", async (t) => {
  const { connect, lines } = await serveTables(t, serve());
  const client = await connect();
  client.socket.write(`${HELLO}Lshared/a\t\nLshared/${"x".repeat(1024 * 1024)}\t\n`);
  await client.expect("Oval 1\n");
  await client.expectEnd();
  assert.match(lines.join("\n"), /dict client .*disconnected: line exceeds 1048576 bytes/);
});

test("a value of nearly 1 MiB is written and read", async (t) => {
  const { connect } = await serveTables(t, serve());
  const client = await connect();
  const value = "\x01n\xff".repeat(340_000);
  client.socket.write(Buffer.from(`${HELLO}B1\t\nS1\tshared/big\t${value}\nC1\nLshared/big\t\n`, "latin1"));
  await client.expect(`O1\nO${value}\n`);
});
