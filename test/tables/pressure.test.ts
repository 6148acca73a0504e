/** Clients that overdo it: what a listener of tables holds of them is bounded. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { ABSENT } from "../../src/tables/table.ts";
import type { Answer, Table } from "../../src/tables/table.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { heldTable } from "./held-table.ts";
import { memoryTable } from "./memory-table.ts";
import { DICT, serveTables, SOCKETMAP } from "./served.ts";

const FOUND: Answer = { kind: "found", value: "yes" };

test("a client that reads no replies is not read either, and leaves after a minute", async (t) => {
  const clock = createFakeClock();
  const value = "v".repeat(50_000);
  let asked = 0;
  const table: Table = {
    name: "alias",
    lookup: () => {
      asked += 1;
      return { kind: "found", value };
    },
  };
  const { connect, newestSocket, lines } = await serveTables(t, { listener: SOCKETMAP, tables: [table], clock });
  const client = await connect();
  client.socket.pause();
  client.socket.write("7:alias x,".repeat(200_000));
  const socket = newestSocket();
  while (!socket.isPaused()) await once(socket, "data");
  const askedThen = asked;
  // What the system's buffers hold is not ours to bound.
  assert.ok(socket.writableLength < 2 * value.length + socket.writableHighWaterMark, `${socket.writableLength} bytes`);
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(socket.isPaused());
  assert.equal(asked, askedThen);
  clock.advance(60_000);
  await once(socket, "close");
  assert.deepEqual(lines, [
    "warning: socketmap client from 127.0.0.1 at 127.0.0.1:0 disconnected: it took no reply for 60 s",
  ]);
});

test("a client that reads late gets every reply", async (t) => {
  const value = "v".repeat(50_000);
  const { connect, newestSocket } = await serveTables(t, {
    listener: SOCKETMAP,
    tables: [memoryTable("alias", { x: value })],
  });
  const client = await connect();
  client.socket.pause();
  client.socket.end("7:alias x,".repeat(1000));
  const socket = newestSocket();
  while (!socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  client.socket.resume();
  assert.equal(await client.takeAll(), `50003:OK ${value},`.repeat(1000));
});

test("a client that asks faster than its table answers is read no faster", async (t) => {
  const table = heldTable("alias");
  const { connect, newestSocket } = await serveTables(t, { listener: SOCKETMAP, tables: [table] });
  const client = await connect();
  client.socket.write("7:alias x,".repeat(1_000_000));
  let read = 0;
  newestSocket().on("data", (chunk: Buffer) => (read += chunk.length));
  for (let answered = 0; answered < 2000; answered += 1) {
    await table.whenAsked(answered + 1);
    table.asked[answered]?.answer(FOUND);
    await client.expect("6:OK yes,");
  }
  // 2000 requests have 20,000 bytes.
  assert.ok(read < 20_000 + 300_000, `${read} bytes were read`);
});

test("a long list goes out as it is read", async (t) => {
  const clock = createFakeClock();
  let pages = 0;
  const table: Table = {
    name: "users",
    lookup: () => ABSENT,
    async *list() {
      for (; pages < 10_000; pages += 1) yield [{ key: `u/${pages}`, value: "v".repeat(10_000) }];
    },
  };
  const { connect, newestSocket, lines } = await serveTables(t, { listener: DICT, tables: [table], clock });
  const client = await connect();
  client.socket.pause();
  client.socket.write("H3\t2\t0\t\tusers\nI1\t0\tshared/u/\t\n");
  const socket = newestSocket();
  while (!socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(socket.writableLength < 100_000, `${socket.writableLength} bytes wait`);
  clock.advance(60_000);
  await once(socket, "close");
  assert.ok(pages < 10_000);
  assert.match(lines.join("\n"), /it took no reply for 60 s/);
});

test("more clients than there may be are closed at once, and one that left makes room", async (t) => {
  const listener = { ...SOCKETMAP, maxConnections: 2 };
  const { connect, server, lines } = await serveTables(t, { listener, tables: [memoryTable("alias", { x: "yes" })] });
  const [first, second] = [await connect(), await connect()];
  for (const client of [first, second]) {
    await client.send("7:alias x,");
    await client.expect("6:OK yes,");
  }
  for (let n = 0; n < 5; n += 1) await (await connect()).expectEnd();
  assert.deepEqual(lines, ["warning: too many connections: refusing one from 127.0.0.1, 2 are open"]);
  first.end();
  await first.expectEnd();
  while (server.connectionCount > 1) await new Promise((resolve) => setImmediate(resolve));
  const third = await connect();
  await third.send("7:alias x,");
  await third.expect("6:OK yes,");
});

test("a client that breaks off in the middle of a lookup or a list harms nobody", async (t) => {
  const table = heldTable("alias");
  let isClosed = false;
  const users: Table = {
    name: "users",
    lookup: () => ABSENT,
    async *list() {
      try {
        for (;;) yield [{ key: "u/x", value: "v".repeat(10_000) }];
      } finally {
        isClosed = true;
      }
    },
  };
  const { connect, server } = await serveTables(t, { listener: DICT, tables: [table, users] });
  const asking = await connect();
  await asking.send("H3\t2\t0\t\talias\nLshared/x\t\n");
  await table.whenAsked(1);
  asking.socket.resetAndDestroy();
  const listing = await connect();
  await listing.send("H3\t2\t0\t\tusers\nI1\t0\tshared/u/\t\n");
  await listing.take(1);
  listing.socket.resetAndDestroy();
  while (server.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
  table.asked[0]?.answer(FOUND);
  while (!isClosed) await new Promise((resolve) => setImmediate(resolve));
});
