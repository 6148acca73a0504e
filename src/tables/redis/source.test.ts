import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { FakeClock } from "../../../test/support/fake-clock.ts";
import { openType } from "../../../test/support/open-type.ts";
import type { OpenedType } from "../../../test/support/open-type.ts";
import { startRawServer } from "../../../test/support/raw-server.ts";
import { GUARD } from "../../../test/support/table-contract-parts.ts";
import { REDIS } from "./redis-table.ts";

/** A table at a server that does what a test says, each chunk that comes being one command at least, and whose clock stands. */
async function open(
  t: TestContext,
  serve: (socket: Socket, number: number) => void,
  options: Readonly<Record<string, string>> = {},
): Promise<OpenedType & { readonly clock: FakeClock }> {
  const server = await startRawServer(t, serve);
  const clock = createFakeClock();
  const address = `127.0.0.1:${server.port}`;
  const opened = openType(REDIS, { address, ...options }, { clock, guard: { ...GUARD, timeoutMs: 1_000 } });
  t.after(() => opened.table.close());
  return { ...opened, clock };
}

const ONE = "$1\r\n1\r\n";
const FOUND = { kind: "found", value: "1" };
const answerAll = (socket: Socket): void => void socket.on("data", () => socket.write(ONE));

test("a connection on which the server is silent is left", async (t) => {
  const heard = Promise.withResolvers<void>();
  const { table, clock } = await open(t, (socket, number) => {
    if (number === 1) socket.on("data", () => heard.resolve());
    else answerAll(socket);
  });
  const lookups = ["a", "b"].map(async (key) => table.lookup(key));
  await heard.promise;
  clock.advance(1_000);
  for (const answer of await Promise.all(lookups)) assert.ok(answer.kind === "failed" && answer.scope === "source");
  assert.deepEqual(await table.lookup("a"), FOUND);
});

test("so is one on which it does not answer the password", async (t) => {
  const heard = Promise.withResolvers<void>();
  const { table, clock } = await open(
    t,
    (socket, number) => {
      if (number === 1) return void socket.on("data", () => heard.resolve());
      socket.once("data", () => {
        socket.write("+OK\r\n");
        answerAll(socket);
      });
    },
    { password: "secret" },
  );
  const lookup = table.lookup("a");
  await heard.promise;
  clock.advance(1_000);
  assert.equal((await lookup).kind, "failed");
  assert.deepEqual(await table.lookup("a"), FOUND);
});

test("who gives up leaves a connection alone that has been silent for a moment", async (t) => {
  const heard = Promise.withResolvers<Socket>();
  const { source, table, clock } = await open(t, (socket) => void socket.on("data", () => heard.resolve(socket)));
  const aborter = new AbortController();
  const givenUp = source.lookup("a", aborter.signal);
  const waiting = table.lookup("b");
  const socket = await heard.promise;
  clock.advance(499);
  aborter.abort();
  socket.write(`${ONE}${ONE}`);
  assert.deepEqual(await Promise.all([givenUp, waiting]), [FOUND, FOUND]);
});

test("a connection that had died unnoticed costs no lookup", async (t) => {
  const { table } = await open(t, (socket, number) => {
    let count = 0;
    socket.on("data", () => {
      count += 1;
      // The first one ends with the second command instead of an answer.
      if (number === 1 && count === 2) socket.destroy();
      else socket.write(ONE);
    });
  });
  assert.deepEqual(await table.lookup("a"), FOUND);
  assert.deepEqual(await table.lookup("a"), FOUND);
});

const answers: readonly [bytes: string, reason: RegExp, scope: "source" | undefined][] = [
  ["-LOADING Redis is loading the dataset in memory\r\n", /LOADING/, "source"],
  ["-NOAUTH Authentication required.\r\n", /NOAUTH/, "source"],
  ["-MASTERDOWN Link with MASTER is down\r\n", /MASTERDOWN/, "source"],
  ["-WRONGTYPE Operation against a key\r\n", /WRONGTYPE/, undefined],
  ["-MOVED 3999 127.0.0.1:6381\r\n", /MOVED/, undefined],
  [":5\r\n", /an answer that is no string/, undefined],
  ["+OK\r\n", /an answer that is no string/, undefined],
  ["*0\r\n", /an answer that is no string/, undefined],
];
for (const [bytes, reason, scope] of answers)
  test(`never absent: ${bytes.trim()}`, async (t) => {
    const { table } = await open(t, (socket) => void socket.on("data", () => socket.write(bytes)));
    const answer = await table.lookup("a");
    assert.ok(answer.kind === "failed", JSON.stringify(answer));
    assert.match(answer.reason, reason);
    assert.equal(answer.scope, scope);
  });

test("never absent: what is no Redis, cut short, or nothing", async (t) => {
  for (const bytes of ["HTTP/1.1 400 Bad Request\r\n\r\n", "$5\r\nab", "$", "\0\0\0\0", ""]) {
    const { table } = await open(t, (socket) => {
      socket.on("data", () => socket.end(bytes));
    });
    assert.equal((await table.lookup("a")).kind, "failed", JSON.stringify(bytes));
  }
});

test("a write whose answer is lost is uncertain, one that never left is failed", async (t) => {
  const { table } = await open(t, (socket) => {
    socket.once("data", () => socket.destroy());
  });
  const outcome = await table.write?.([{ kind: "set", key: "a", value: "1" }]);
  assert.ok(outcome?.kind === "uncertain", JSON.stringify(outcome));
  const refused = openType(REDIS, { address: "127.0.0.1:1" }, { guard: GUARD }).table;
  t.after(() => refused.close());
  assert.equal((await refused.write?.([{ kind: "set", key: "a", value: "1" }]))?.kind, "failed");
});
