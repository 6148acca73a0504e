import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { faultsOf } from "../../../test/support/open-type.ts";
import { startRawServer } from "../../../test/support/raw-server.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { always, openSocketmapTable } from "../../../test/support/socketmap-table.ts";
import { testTableContract } from "../../../test/support/table-contract.ts";
import type { TableContract } from "../../../test/support/table-contract.ts";
import { until } from "../../../test/support/until.ts";
import { encodeReply } from "../../protocols/socketmap/reply.ts";
import { RequestDecoder } from "../../protocols/socketmap/request.ts";
import type { Answer } from "../table.ts";
import { SOCKETMAP } from "./socketmap-table.ts";

/** Serves one map called `users`. */
function serveMap(entries: ReadonlyMap<string, string>): (socket: Socket) => void {
  return (socket) => {
    const decoder = new RequestDecoder();
    socket.on("data", (chunk: Buffer) => {
      decoder.push(chunk);
      for (let request = decoder.next(); request !== undefined; request = decoder.next()) {
        assert.ok(request.kind === "query" && request.map === "users");
        const value = entries.get(request.key);
        socket.write(encodeReply(value === undefined ? { kind: "absent" } : { kind: "found", value }), "latin1");
      }
    });
  };
}

const contract = (name: string, socketPath: (t: TestContext) => string | undefined): TableContract => ({
  name,
  type: SOCKETMAP,
  async start(t, entries) {
    const path = socketPath(t);
    const server = await startRawServer(t, serveMap(entries), path);
    const address = path === undefined ? `127.0.0.1:${server.port}` : `unix:${path}`;
    return { options: { address, map: "users" }, break: () => server.stop(), repair: () => server.start() };
  },
  holdsKeys: () => true,
  holdsValues: () => true,
});
testTableContract(contract("socketmap", () => undefined));
testTableContract(contract("socketmap over a unix socket", (t) => join(scratchFolder(t), "map")));

test("the request is one netstring of map and key", async (t) => {
  const seen: string[] = [];
  const { lookup } = await openSocketmapTable(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      seen.push(chunk.toString("latin1"));
      socket.write("9:NOTFOUND ,");
    });
  });
  for (const key of ["user@example.com", "a b", "", "ü", "\udcff"]) await lookup(key);
  assert.deepEqual(seen, [
    "22:users user@example.com,",
    "9:users a b,",
    "6:users ,",
    "8:users \xc3\xbc,",
    "7:users \xff,",
  ]);
});

const replies: readonly [reply: string, want: Answer["kind"] | RegExp, value?: string][] = [
  ["6:OK new,", "found", "new"],
  ["7:OK  new,", "found", " new"],
  ["3:OK ,", "found", ""],
  ["9:NOTFOUND ,", "absent"],
  ["8:NOTFOUND,", "absent"],
  ["15:NOTFOUND no key,", "absent"],
  ["9:TEMP busy,", /the server answered TEMP busy$/],
  ["5:TEMP ,", /the server answered TEMP$/],
  ["8:TIMEOUT ,", /TIMEOUT/],
  ["5:PERM ,", /PERM/],
  ["6:ok new,", /makes no sense/],
  ["9:notfound ,", /makes no sense/],
  ["0:,", /makes no sense/],
  ["4: OK ,", /makes no sense/],
];
for (const [reply, want, value] of replies)
  test(`the answer to ${reply}`, async (t) => {
    const { lookup, accepted } = await openSocketmapTable(t, always(reply));
    for (let round = 0; round < 2; round += 1) {
      const answer = await lookup("user");
      if (want instanceof RegExp) {
        assert.ok(answer.kind === "failed" && answer.scope === undefined);
        assert.match(answer.reason, want);
        assert.match(answer.reason, /^users at 127\.0\.0\.1:\d+: /);
      } else assert.deepEqual(answer, value === undefined ? { kind: want } : { kind: want, value });
    }
    assert.equal(accepted(), 1);
  });

for (const reply of [
  "9:NOTFOUND ;",
  "09:NOTFOUND ,",
  ":NOTFOUND ,",
  "x",
  "-1:,",
  "NOTFOUND \n",
  "500 no\n",
  "100001:",
  "99999999999:",
])
  test(`what is no netstring is failed and closes the connection: ${reply}`, async (t) => {
    let closed = 0;
    const { lookup, accepted } = await openSocketmapTable(t, (socket) => {
      socket.on("close", () => (closed += 1));
      always(reply)(socket);
    });
    for (let round = 1; round <= 2; round += 1) {
      const answer = await lookup("user");
      assert.ok(answer.kind === "failed" && answer.scope === undefined);
      assert.match(answer.reason, /the reply is malformed: /);
      assert.equal(accepted(), round);
      await until("the connection is closed", () => (closed === round ? true : undefined));
    }
  });

test("the longest reply is taken, and a longer one not", async (t) => {
  const long = "x".repeat(100_000 - 3);
  const { lookup } = await openSocketmapTable(
    t,
    (socket, number) => {
      socket.on("data", () => socket.write(number === 1 ? `100000:OK ${long},` : `100001:OK ${long}x,`));
    },
    { pool: "1" },
  );
  assert.deepEqual(await lookup("user"), { kind: "found", value: long });
  const { lookup: second } = await openSocketmapTable(t, always(`100001:OK ${long}x,`));
  assert.equal((await second("user")).kind, "failed");
});

/** The lookup is given up when these bytes were sent, or finds the connection ended or reset. */
test("cut at any byte, a reply is failed", async (t) => {
  for (const reply of ["9:NOTFOUND ,", "6:OK new,", "12:NOTFOUND \0\0\0,"])
    for (const ending of ["end", "reset", "hang"] as const)
      for (let cut = 0; cut < reply.length; cut += 1) {
        const aborter = new AbortController();
        const { lookup, accepted } = await openSocketmapTable(t, (socket) => {
          socket.on("data", () => {
            if (cut > 0) socket.write(reply.slice(0, cut));
            if (ending === "end") socket.end();
            else if (ending === "reset") socket.resetAndDestroy();
            else setImmediate(() => aborter.abort(new Error("no answer")));
          });
        });
        const answered = await Promise.allSettled([lookup("user", aborter.signal)]);
        const [result] = answered;
        if (ending === "hang") assert.equal(result.status, "rejected");
        else {
          assert.ok(result.status === "fulfilled" && result.value.kind === "failed", `${ending} after ${cut}`);
          assert.equal(result.value.scope, "source");
        }
        assert.equal(accepted(), 1);
      }
});

test("garbage is failed", async (t) => {
  let bytes = Buffer.alloc(0);
  const { lookup } = await openSocketmapTable(t, (socket) => {
    socket.on("data", () => socket.end(bytes));
  });
  const word = fc.constantFrom("9:", "NOTFOUND ", ",", "OK", " ", ":", "0", "1", "\n", "\xff");
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (words) => {
      bytes = Buffer.from(words.join(""), "latin1");
      const answer = await lookup("user");
      const isReply = /^9:NOTFOUND ,|^8:NOTFOUND,|^\d+:OK/.test(bytes.toString("latin1"));
      assert.ok(answer.kind === "failed" || isReply, JSON.stringify(answer));
    }),
    { numRuns: 300 },
  );
});

test("a reply in many pieces is one reply", async (t) => {
  const { lookup } = await openSocketmapTable(t, (socket) => {
    const send = (rest: string): void => {
      socket.write(rest.charAt(0));
      if (rest.length > 1) setImmediate(send, rest.slice(1));
    };
    socket.on("data", () => send("10:OK old:new,"));
  });
  for (let round = 0; round < 3; round += 1)
    assert.deepEqual(await lookup("user"), { kind: "found", value: "old:new" });
});

test("a key that no server would read is not asked for", async (t) => {
  const { lookup, accepted } = await openSocketmapTable(t, always("9:NOTFOUND ,"));
  const answer = await lookup("k".repeat(100_000));
  assert.ok(answer.kind === "failed" && answer.scope === undefined);
  assert.equal(accepted(), 0);
});

test("faults of options", () => {
  assert.deepEqual(faultsOf(SOCKETMAP, {}), ['"address" is missing', '"map" is missing']);
  const [fault = ""] = faultsOf(SOCKETMAP, { address: "127.0.0.1:1", map: "a b" });
  assert.equal(fault, "map: the name of a map is ASCII without blanks");
});
