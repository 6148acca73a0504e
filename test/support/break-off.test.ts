import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import test from "node:test";

import { breakOff } from "./break-off.ts";

/** More than the buffers of both ends take. */
const MANY_BYTES = 32 * 1024 * 1024;

/** Two ends of a TCP connection. The peer reads once it is resumed, and leaves its own side open. */
async function connectPair(): Promise<{ socket: Socket; peer: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[socket]] = (await Promise.all([once(server, "connection"), once(peer, "connect")])) as [[Socket], unknown];
  server.close();
  return { socket, peer };
}

/** How the peer learns of the end. */
async function awaitEnd(peer: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  peer.on("error", (error) => resolve(error.message));
  peer.on("end", () => resolve("end"));
  peer.resume();
  try {
    return await promise;
  } finally {
    peer.destroy();
  }
}

const resets: { readonly when: string; readonly prepare: (socket: Socket) => unknown }[] = [
  { when: "a connection stands open", prepare: () => {} },
  {
    when: "the end waits behind bytes that the peer does not take",
    prepare(socket) {
      socket.write(Buffer.alloc(MANY_BYTES));
      socket.end();
    },
  },
];
for (const { when, prepare } of resets)
  test(`the peer sees a reset when ${when}`, async () => {
    const { socket, peer } = await connectPair();
    prepare(socket);
    const closed = once(socket, "close");
    breakOff(socket);
    await closed;
    assert.equal(await awaitEnd(peer), "read ECONNRESET");
  });

// A process in which one of these sockets is not closed never ends.
const ends: { readonly when: string; readonly prepare: (socket: Socket, peer: Socket) => unknown }[] = [
  { when: "in the turn of its end", prepare: (socket) => socket.end() },
  {
    when: "in the turn of its end, with a last write",
    prepare: (socket) => socket.end("bye"),
  },
  {
    when: "in the turn in which the peer's end was answered",
    async prepare(socket, peer) {
      peer.end();
      socket.resume();
      await once(socket, "end");
      socket.end();
    },
  },
  {
    when: "after its end has left",
    async prepare(socket) {
      socket.end();
      await once(socket, "finish");
    },
  },
];
for (const { when, prepare } of ends)
  test(`a socket that is broken off ${when} is closed`, async () => {
    const { socket, peer } = await connectPair();
    await prepare(socket, peer);
    const closed = once(socket, "close");
    breakOff(socket);
    await closed;
    await awaitEnd(peer);
  });
