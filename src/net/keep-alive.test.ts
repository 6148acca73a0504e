import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { dial, dialForSmallReads } from "./dialer.ts";
import { listen } from "./listener.ts";

/** Kind of the kernel's next timer of a connection, and when, in ms. Source: proc_net_tcp in the kernel's documentation. */
function timerOf({ localPort = 0, remotePort = 0 }: Socket): { readonly kind: number; readonly inMs: number } {
  const [local, remote] = [localPort, remotePort].map((port) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`);
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n")) {
    const [, from = "", to = "", , , timer = ""] = line.trim().split(/\s+/);
    const [kind = "", ticks = ""] = timer.split(":");
    if (from.endsWith(local ?? "?") && to.endsWith(remote ?? "?"))
      return { kind: Number(kind), inMs: Number.parseInt(ticks, 16) * 10 };
  }
  throw new Error("no such connection");
}

/** What `kind` says of an idle connection that is asked whether it is there. */
const KEEP_ALIVE = 2;

test(
  "a client over TCP that is idle is asked whether it is still there",
  { skip: process.platform !== "linux" },
  async (t) => {
    const accepted = Promise.withResolvers<Socket>();
    const listener = await listen(
      {
        owner: undefined,
        group: undefined,
        permissions: undefined,
        address: { kind: "tcp", host: "127.0.0.1", port: 0 },
      },
      { accept: accepted.resolve, acceptFailed: () => undefined },
    );
    t.after(() => listener.close());
    assert.equal(listener.address.kind, "tcp");
    const client = connect(listener.address.kind === "tcp" ? listener.address.port : 0, "127.0.0.1");
    t.after(() => client.destroy());
    await once(client, "connect");
    const socket = await accepted.promise;
    t.after(() => socket.destroy());
    const { kind, inMs } = timerOf(socket);
    assert.equal(kind, KEEP_ALIVE);
    assert.ok(inMs > 30_000 && inMs <= 60_000, String(inMs));
  },
);

for (const open of [dial, dialForSmallReads])
  test(`so is whom we ${open.name}`, { skip: process.platform !== "linux" }, async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const socket = open({ kind: "tcp", host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    t.after(() => socket.destroy());
    await once(socket, "connect");
    assert.equal(timerOf(socket).kind, KEEP_ALIVE);
  });

test("a client that we end when it is silent is not asked", { skip: process.platform !== "linux" }, async (t) => {
  const accepted = Promise.withResolvers<Socket>();
  const address = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const access = { owner: undefined, group: undefined, permissions: undefined };
  const listener = await listen(
    { ...access, address, endsSilentClients: true },
    { accept: accepted.resolve, acceptFailed: () => undefined },
  );
  t.after(() => listener.close());
  const client = connect(listener.address.kind === "tcp" ? listener.address.port : 0, "127.0.0.1");
  t.after(() => client.destroy());
  const socket = await accepted.promise;
  t.after(() => socket.destroy());
  assert.equal(timerOf(socket).kind, 0);
});
