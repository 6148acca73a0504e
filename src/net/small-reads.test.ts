import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { until } from "../../test/support/until.ts";
import { Connection } from "./connection.ts";
import { readSmall, SmallReadSocket } from "./small-reads.ts";

interface Accepted {
  readonly server: Server;
  readonly connection: Connection;
  readonly peer: Socket;
  readonly chunks: Buffer[];
  readonly ended: Promise<void>;
  readonly closed: Promise<string | undefined>;
  /** Resolves when as many bytes have come. */
  receive(bytes: number): Promise<string>;
}

async function accept(t: TestContext, path?: string): Promise<Accepted> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  const ended = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<string | undefined>();
  const chunks: Buffer[] = [];
  let onMore = (): void => undefined;
  const connection = new Promise<Connection>((resolve) => {
    server.once("connection", (socket) => {
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        onMore();
      };
      const events = { onData, onDrain: () => undefined, onEnd: ended.resolve, onClosed: closed.resolve };
      resolve(new Connection(readSmall(socket), events));
    });
  });
  const peer = connect(path === undefined ? { port: (server.address() as AddressInfo).port } : { path });
  const open = await connection;
  t.after(() => {
    peer.destroy();
    open.destroy();
    server.close();
  });
  const receive = (bytes: number): Promise<string> =>
    new Promise((resolve) => {
      onMore = () => {
        const come = Buffer.concat(chunks);
        if (come.length >= bytes) resolve(come.toString());
      };
      onMore();
    });
  return { server, connection: open, peer, chunks, ended: ended.promise, closed: closed.promise, receive };
}

for (const where of ["TCP", "unix"]) {
  const open = (t: TestContext): Promise<Accepted> =>
    accept(t, where === "TCP" ? undefined : join(scratchFolder(t), "socket"));

  test(`${where}: what came stays, whatever comes later on any connection`, async (t) => {
    const one = await open(t);
    const other = await accept(t);
    one.peer.write("first");
    assert.equal(await one.receive(5), "first");
    other.peer.write("OTHER");
    await other.receive(5);
    one.peer.write(" second");
    assert.equal(await one.receive(12), "first second");
  });

  test(`${where}: as much as several buffers arrives whole`, async (t) => {
    const { peer, receive } = await open(t);
    const sent = Buffer.alloc(1_000_000, "0123456789abcdefg").toString();
    peer.write(sent);
    assert.ok((await receive(sent.length)) === sent);
  });

  test(`${where}: the end comes after the bytes, and replies go on`, async (t) => {
    const { peer, connection, chunks, ended, closed } = await open(t);
    const replies = peer.toArray();
    peer.end("last");
    await ended;
    assert.deepEqual(chunks, [Buffer.from("last")]);
    connection.writeText("reply");
    connection.end();
    assert.deepEqual(await replies, [Buffer.from("reply")]);
    assert.equal(await closed, undefined);
  });

  test(`${where}: nothing is read while it is paused`, async (t) => {
    const { peer, connection, chunks, receive } = await open(t);
    peer.write("1");
    await receive(1);
    connection.pause();
    peer.end("2");
    await once(peer, "finish");
    // A turn in which it would have been read.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal(chunks.length, 1);
    connection.resume();
    assert.equal(await receive(2), "12");
  });

  test(`${where}: the server knows when its last socket is gone`, async (t) => {
    const { server, peer, connection, closed } = await open(t);
    const gone = once(server, "close");
    server.close();
    peer.resume().end();
    connection.end();
    await gone;
    assert.equal(await closed, undefined);
  });
}

test("a reset is told", async (t) => {
  const { peer, receive, closed } = await accept(t);
  peer.write("a");
  await receive(1);
  peer.resetAndDestroy();
  assert.equal(await closed, "read ECONNRESET");
});

test("what came before somebody listens is not lost", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = connect((server.address() as AddressInfo).port);
  const [accepted] = (await once(server, "connection")) as [Socket];
  const taken = readSmall(accepted);
  assert.ok(taken instanceof SmallReadSocket, "Node.js is not as we know it");
  t.after(() => {
    peer.destroy();
    taken.destroy();
    server.close();
  });
  const early = "early".repeat(100_000);
  peer.write(early);
  await until("the socket has read all that it may", () =>
    taken.readableLength >= taken.readableHighWaterMark ? true : undefined,
  );
  let come = "";
  const all = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    come += chunk.toString();
    if (come.endsWith("late")) all.resolve();
  };
  new Connection(taken, { onData, onDrain: () => undefined, onEnd: () => undefined, onClosed: () => undefined });
  peer.write("late");
  await all.promise;
  assert.ok(come === `${early}late`);
});
