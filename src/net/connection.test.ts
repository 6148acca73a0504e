import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { Connection } from "./connection.ts";

interface Pair {
  readonly connection: Connection;
  readonly peer: Socket;
}

async function openPair(t: TestContext): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  server.close();
  const nothing = (): void => undefined;
  const connection = new Connection(accepted, {
    onData: nothing,
    onDrain: nothing,
    onEnd: nothing,
    onClosed: nothing,
  });
  t.after(() => {
    peer.destroy();
    connection.destroy();
  });
  return { connection, peer };
}

const pieces: readonly (string | Buffer)[] = [
  "250 2.0.0 ok\r\n",
  Buffer.from("a"),
  Buffer.alloc(65_535, "b"),
  "\xfc\r\n",
  Buffer.alloc(65_536, "c"),
  "d",
  "e".repeat(200_000),
  Buffer.from("f"),
];

test("text and bytes arrive in the order in which they were written", async (t) => {
  const { connection, peer } = await openPair(t);
  for (const piece of pieces)
    if (typeof piece === "string") connection.writeText(piece);
    else connection.writeBytes(piece);
  connection.end();
  const want = Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece, "latin1") : piece)));
  assert.ok(want.equals(Buffer.concat((await peer.toArray()) as Buffer[])));
});

test("what is written arrives without an end, and in one piece when it is small", async (t) => {
  const { connection, peer } = await openPair(t);
  const first = once(peer, "data");
  connection.writeText("354 go\r\n");
  connection.writeBytes(Buffer.from("ahead"));
  await Promise.resolve();
  connection.writeText(".\r\n");
  assert.deepEqual(await first, [Buffer.from("354 go\r\nahead.\r\n")]);
});

test("more than waits for the end of the turn counts as congestion at once", async (t) => {
  const { connection } = await openPair(t);
  let written = 0;
  while (!connection.isCongested && written < 100_000_000) {
    connection.writeText("x".repeat(1000));
    written += 1000;
  }
  assert.ok(written < 20_000_000, `${written} bytes`);
});
