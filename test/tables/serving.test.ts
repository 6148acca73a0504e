/** What a listener of tables does in time: sources that are slow, reloads, the end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_GUARD } from "../../src/tables/options.ts";
import { ABSENT } from "../../src/tables/table.ts";
import type { Answer, Table } from "../../src/tables/table.ts";
import { guardSource } from "../../src/tables/wrappers/guard.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { heldTable } from "./held-table.ts";
import { memoryTable } from "./memory-table.ts";
import { DICT, serveTables, SOCKETMAP, TCP_TABLE } from "./served.ts";

const FOUND: Answer = { kind: "found", value: "yes" };

/** A source that never answers, behind the guard that a configuration without a word about it gives. */
function silentTable(name: string, clock: FakeClock): Table {
  const context = {
    name,
    clock,
    say: () => undefined,
    tableNamed: (): never => assert.fail("there is no other table"),
  };
  const source = { lookup: () => new Promise<Answer>(() => undefined) };
  return { name, ...guardSource(source, DEFAULT_GUARD, context) };
}

const protocols = [
  {
    name: "socketmap",
    listener: SOCKETMAP,
    ask: "7:alias x,",
    found: "6:OK yes,",
    late: "29:TEMP no answer within 5000 ms,",
  },
  {
    name: "dict",
    listener: { ...DICT, tables: new Map([["d", "alias"]]) },
    greeting: "H3\t2\t0\t\td\n",
    ask: "Lshared/x\t\n",
    found: "Oyes\n",
    late: "Fno answer within 5000 ms\n",
  },
  {
    name: "tcp_table",
    listener: TCP_TABLE,
    ask: "get x\n",
    found: "200 yes\n",
    late: "400 no%20answer%20within%205000%20ms\n",
  },
];

for (const { name, listener, greeting = "", ask, found, late } of protocols) {
  test(`${name}: who waits for a silent source is told in time`, async (t) => {
    const clock = createFakeClock();
    const { connect } = await serveTables(t, { listener, tables: [silentTable("alias", clock)], clock });
    const client = await connect();
    await client.send(greeting + ask + ask);
    clock.advance(4_999);
    assert.equal(client.socket.readableLength, 0);
    clock.advance(1);
    await client.expect(late);
    // The second one was asked only then, and has its own time.
    clock.advance(5_000);
    await client.expect(late);
  });

  test(`${name}: a reload in the middle of a lookup changes the next one`, async (t) => {
    const old = heldTable("alias");
    const { connect, tables } = await serveTables(t, { listener, tables: [old] });
    const client = await connect();
    await client.send(greeting + ask + ask);
    await old.whenAsked(1);
    tables.set("alias", memoryTable("alias", {}));
    old.asked[0]?.answer(FOUND);
    await client.expect(found);
    await client.expect({ socketmap: "9:NOTFOUND ,", dict: "N\n", tcp_table: "500 not%20found\n" }[name] ?? "");
    assert.equal(old.asked.length, 1);
  });

  test(`${name}: at the end what was asked is answered, then it closes`, async (t) => {
    const table = heldTable("alias");
    const { connect, server } = await serveTables(t, { listener, tables: [table] });
    const [busy, idle, half] = [await connect(), await connect(), await connect()];
    await idle.send(greeting);
    await half.send(greeting + ask.slice(0, -1));
    await busy.send(greeting + ask + ask);
    await table.whenAsked(1);
    let isOver = false;
    const over = server.shutdown().then(() => (isOver = true));
    await idle.expectEnd();
    await half.expectEnd();
    assert.equal(isOver, false);
    table.asked[0]?.answer(FOUND);
    await table.whenAsked(2);
    table.asked[1]?.answer(FOUND);
    await busy.expect(found + found);
    await busy.expectEnd();
    for (const { socket } of [busy, idle, half]) socket.end();
    await over;
  });

  test(`${name}: 10,000 requests at once, each answered in its place`, async (t) => {
    const table: Table = {
      name: "alias",
      lookup: (key) => {
        const answer: Answer = key.endsWith("7") ? ABSENT : { kind: "found", value: `v${key}` };
        return key.endsWith("3") ? Promise.resolve(answer) : answer;
      },
    };
    const { connect } = await serveTables(t, { listener, tables: [table] });
    const client = await connect();
    const keys = Array.from({ length: 10_000 }, (_, n) => String(n).padStart(5, "0"));
    const asks = { socketmap: (key: string) => `11:alias ${key},`, dict: (key: string) => `Lshared/${key}\t\n` }[
      name as "socketmap" | "dict"
    ];
    const answers = {
      socketmap: (key: string) => (key.endsWith("7") ? "9:NOTFOUND ," : `9:OK v${key},`),
      dict: (key: string) => (key.endsWith("7") ? "N\n" : `Ov${key}\n`),
    }[name as "socketmap" | "dict"];
    client.socket.end(greeting + keys.map(asks ?? ((key) => `get ${key}\n`)).join(""));
    const wanted = keys.map(answers ?? ((key) => (key.endsWith("7") ? "500 not%20found\n" : `200 v${key}\n`))).join("");
    assert.equal(await client.takeAll(), wanted);
  });
}

test("an idle client is never closed, and one that stops in the middle of a request is", async (t) => {
  const clock = createFakeClock();
  const { connect, lines } = await serveTables(t, {
    listener: SOCKETMAP,
    tables: [memoryTable("alias", { x: "yes" })],
    clock,
  });
  const [idle, half] = [await connect(), await connect()];
  for (const client of [idle, half]) {
    await client.send("7:alias x,");
    await client.expect("6:OK yes,");
  }
  clock.advance(3_600_000);
  await half.send("7:alias");
  clock.advance(59_999);
  await half.send(" ");
  clock.advance(59_999);
  await half.send("x");
  clock.advance(60_000);
  await half.expectEnd();
  assert.deepEqual(lines, [
    "warning: socketmap client from 127.0.0.1 at 127.0.0.1:0 disconnected: half a request, and nothing more for 60 s",
  ]);
  await idle.send("7:alias x,");
  await idle.expect("6:OK yes,");
});

test("a slow answer is waited for as long as the table takes, half a request behind it or not", async (t) => {
  const clock = createFakeClock();
  const table = heldTable("alias");
  const { connect } = await serveTables(t, { listener: SOCKETMAP, tables: [table], clock });
  const client = await connect();
  await client.send("7:alias x,7:ali");
  await table.whenAsked(1);
  clock.advance(3_600_000);
  table.asked[0]?.answer(FOUND);
  await client.expect("6:OK yes,");
  await client.send("as x,");
  await table.whenAsked(2);
  table.asked[1]?.answer(FOUND);
  await client.expect("6:OK yes,");
});
