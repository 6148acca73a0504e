import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { openType } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { startRawServer } from "../../../test/support/raw-server.ts";
import type { Answer } from "../table.ts";
import { URL_TABLE } from "./url-table.ts";

/** What becomes of a connection after the last byte of a reply, or of a part of one. */
const ENDINGS = ["end", "reset", "hang"] as const;
type Ending = (typeof ENDINGS)[number];

/** Asks a server that answers each request with these bytes; with `hang` the lookup is given up when they were sent. */
type Ask = (bytes: string | Uint8Array, ending: Ending) => Promise<Answer>;

async function startFaulty(t: TestContext, options: RawOptions = {}): Promise<Ask> {
  let serve: (socket: Socket) => void = () => undefined;
  const server = await startRawServer(t, (socket) => {
    socket.on("data", () => serve(socket));
  });
  const { source } = openType(URL_TABLE, { url: `http://127.0.0.1:${server.port}/{}`, pool: "1", ...options });
  t.after(() => source.close?.());
  return async (bytes, ending) => {
    const aborter = new AbortController();
    serve = (socket) => {
      socket.write(bytes, () => {
        if (ending === "end") socket.end();
        else if (ending === "reset") socket.resetAndDestroy();
        else setImmediate(() => aborter.abort());
      });
      // Nothing at all is never said to be written.
      if (bytes.length === 0 && ending === "hang") aborter.abort();
    };
    return source.lookup("user1", aborter.signal);
  };
}

const replies: readonly [name: string, reply: string][] = [
  ["a value", 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"old"'],
  ["a number", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n1234"],
  ["a value in chunks", 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n"o\r\n3\r\nld"\r\n0\r\n\r\n'],
  [
    "an early hint and a value",
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"old"',
  ],
  ["no such key", "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nunknown"],
  ["no such key, in chunks", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nunknown\r\n0\r\n\r\n"],
  ["gone, without a body", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"],
  ["a redirect", "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"],
];
for (const [name, reply] of replies)
  test(`cut at any byte, the reply is failed: ${name}`, async (t) => {
    const ask = await startFaulty(t);
    for (const ending of ENDINGS)
      for (let cut = 0; cut < reply.length; cut += 1) {
        const answer = await ask(reply.slice(0, cut), ending);
        assert.ok(
          answer.kind === "failed" && answer.scope === "source",
          `${ending} after ${cut}: ${JSON.stringify(answer)}`,
        );
      }
  });

test("without a length the body ends with the connection, unless that is broken", async (t) => {
  const ask = await startFaulty(t);
  const head = "HTTP/1.0 200 OK\r\n\r\n";
  assert.deepEqual(await ask(`${head}"old"`, "end"), { kind: "found", value: "old" });
  assert.deepEqual(await ask(`${head}12`, "end"), { kind: "found", value: "12" });
  for (const ending of ["reset", "hang"] as const)
    for (const body of ["", '"o', '"old"', "12"]) {
      const answer = await ask(head + body, ending);
      assert.ok(
        answer.kind === "failed" && answer.scope === "source",
        `${ending} after ${body}: ${JSON.stringify(answer)}`,
      );
    }
  for (const body of ["", '"', '"o', '"ol', '"old']) assert.equal((await ask(head + body, "end")).kind, "failed");
  const absent = "HTTP/1.0 404 Not Found\r\n\r\n";
  for (const cut of [absent.length - 1, absent.length - 2, absent.length - 4])
    for (const ending of ENDINGS) assert.equal((await ask(absent.slice(0, cut), ending)).kind, "failed");
  assert.equal((await ask(absent, "reset")).kind, "failed");
});

for (const [name, reply] of [
  ["a length that is too long", "HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nunknown"],
  ["a length that is no number", "HTTP/1.1 404 Not Found\r\nContent-Length: x\r\n\r\nunknown"],
  ["two lengths", "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\nunknown"],
  [
    "a length and chunks",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nunknown\r\n0\r\n\r\n",
  ],
  [
    "a chunk with a wrong length",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nunknown\r\n0\r\n\r\n",
  ],
  ["a status of two digits", "HTTP/1.1 40 Not Found\r\nContent-Length: 0\r\n\r\n"],
  ["another protocol", "HTTP/3.7 404 Not Found\r\nContent-Length: 0\r\n\r\n"],
  ["a banner", "SSH-2.0-OpenSSH_9.9\r\n"],
  ["bytes before the reply", "\r\nx HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"],
  ["a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
  ["an interim reply alone", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["headers without an end", `HTTP/1.1 404 Not Found\r\n${"X-Header: x\r\n".repeat(2000)}`],
] as const)
  test(`what is no reply is failed: ${name}`, async (t) => {
    const ask = await startFaulty(t, { absent_status: ["4xx"] });
    const answer = await ask(reply, "end");
    assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
  });

test("garbage is failed", async (t) => {
  const ask = await startFaulty(t, { absent_status: ["4xx"] });
  const word = fc.constantFrom(
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "200",
    "404",
    " OK",
    "\r\n",
    "\n",
    ":",
    "Content-Length: 3\r\n",
    "\0",
    "abc",
  );
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc.array(word, { maxLength: 8 }).map((words) => Buffer.from(words.join(""))),
  );
  await fc.assert(
    fc.asyncProperty(garbage, fc.constantFrom(...ENDINGS), async (bytes, ending) => {
      const isReply = /^(?:\r?\n)*HTTP\/1\.[01] 404/.test(bytes.toString("latin1"));
      const answer = await ask(bytes, ending);
      assert.ok(answer.kind === "failed" || isReply, JSON.stringify(answer));
    }),
    { numRuns: 300 },
  );
});

test("a value longer than 1 MiB is failed, for this key alone", async (t) => {
  const ask = await startFaulty(t);
  const reply = (bytes: number): string =>
    `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n"${"x".repeat(bytes - 2)}"`;
  assert.equal((await ask(reply(1024 * 1024), "end")).kind, "found");
  for (const ending of ["end", "reset"] as const) {
    const answer = await ask(reply(1024 * 1024 + 1), ending);
    assert.equal(answer.kind, "failed");
    if (ending === "end" && answer.kind === "failed")
      assert.match(answer.reason, /\/user1: the reply has more than 1048576 bytes$/);
  }
});
