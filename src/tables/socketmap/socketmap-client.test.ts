import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { always, openSocketmapTable } from "../../../test/support/socketmap-table.ts";

test("what comes unasked is never taken for an answer", async (t) => {
  // On the first connection with the reply, on the second one after it.
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const { lookup, accepted } = await openSocketmapTable(t, (socket, number) => {
    socket.on("data", () => {
      socket.write(number === 1 ? "6:OK new,9:NOTFOUND ," : "6:OK new,");
      if (number === 2) setTimeout(() => socket.write("9:NOTFOUND ,"), 1);
    });
    if (number === 2) socket.on("close", () => resolve());
  });
  assert.equal((await lookup("user")).kind, "found");
  assert.equal((await lookup("user")).kind, "found");
  assert.equal(accepted(), 2);
  await closed;
  assert.equal((await lookup("user")).kind, "found");
  assert.equal(accepted(), 3);
});

test("a connection that was closed while it was idle costs no lookup", async (t) => {
  for (const close of ["end", "resetAndDestroy"] as const) {
    let requests = 0;
    const { lookup, accepted } = await openSocketmapTable(t, (socket, number) => {
      let requestsHere = 0;
      socket.on("data", () => {
        requests += 1;
        requestsHere += 1;
        if (requestsHere === 1 && number !== 2) socket.write("6:OK new,");
        else socket[close]();
      });
    });
    assert.equal((await lookup("user")).kind, "found");
    // The first connection is closed under the request, and so is the second: nobody asks a third time.
    const answer = await lookup("user");
    assert.ok(answer.kind === "failed" && answer.scope === "source");
    assert.deepEqual([accepted(), requests], [2, 3]);
    assert.equal((await lookup("user")).kind, "found");
    assert.equal((await lookup("user")).kind, "found");
    assert.deepEqual([accepted(), requests], [4, 6]);
  }
});

test("nothing is asked twice after a format error, or when a part of the reply had come", async (t) => {
  for (const second of ["x", "9:NOT"]) {
    const { lookup, accepted } = await openSocketmapTable(t, (socket) => {
      let requests = 0;
      socket.on("data", () => {
        requests += 1;
        if (requests === 1) socket.write("6:OK new,");
        else socket.end(second);
      });
    });
    assert.equal((await lookup("user")).kind, "found");
    assert.equal((await lookup("user")).kind, "failed");
    assert.equal(accepted(), 1);
  }
});

test("who gives up closes the connection, and is not asked for again", async (t) => {
  const aborter = new AbortController();
  let requests = 0;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const { lookup } = await openSocketmapTable(
    t,
    (socket, number) => {
      if (number === 1) socket.on("close", () => resolve());
      socket.on("data", () => {
        requests += 1;
        if (requests === 1) aborter.abort(new Error("no answer within 5 ms"));
        else socket.write("6:OK new,");
      });
    },
    { pool: "1" },
  );
  const first = lookup("user", aborter.signal);
  const other = new AbortController();
  const waiting = lookup("user", other.signal);
  const third = lookup("user");
  const rejected = Promise.all([
    assert.rejects(first, { message: "no answer within 5 ms" }),
    assert.rejects(waiting, { message: "given up" }),
  ]);
  other.abort(new Error("given up"));
  await rejected;
  await closed;
  assert.deepEqual(await third, { kind: "found", value: "new" });
  await assert.rejects(lookup("user", AbortSignal.abort(new Error("late"))), { message: "late" });
  assert.equal(requests, 2);
});

test("no more connections than the pool has, each with one request at a time", async (t) => {
  let underWay = 0;
  const { lookup, accepted } = await openSocketmapTable(
    t,
    (socket) => {
      let isBusy = false;
      socket.on("data", () => {
        assert.equal(isBusy, false);
        isBusy = true;
        underWay += 1;
        assert.ok(underWay <= 3);
        setImmediate(() => {
          isBusy = false;
          underWay -= 1;
          socket.write("6:OK new,");
        });
      });
    },
    { pool: "3" },
  );
  await Promise.all(
    Array.from({ length: 50 }, async (_, at) => assert.equal((await lookup(`user${at}`)).kind, "found")),
  );
  assert.equal(accepted(), 3);
});

test("a connection is closed after 8 s without a lookup", async (t) => {
  const clock = createFakeClock();
  const sockets: Socket[] = [];
  const { lookup, accepted, source } = await openSocketmapTable(
    t,
    (socket) => {
      sockets.push(socket);
      always("6:OK new,")(socket);
    },
    { clock },
  );
  await lookup("user");
  clock.advance(7_999);
  await lookup("user");
  clock.advance(7_999);
  await lookup("user");
  assert.equal(accepted(), 1);
  const [first] = sockets;
  assert.ok(first);
  const closed = once(first, "close");
  clock.advance(8_000);
  await closed;
  await lookup("user");
  assert.equal(accepted(), 2);
  await source.close?.();
  assert.equal(clock.pendingTimers, 0);
});
