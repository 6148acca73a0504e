import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createAdminServer, PATIENCE_MS } from "../../src/admin/admin-server.ts";
import { AdminCutOff, AdminRefused, connectAdmin } from "../../src/admin/client.ts";
import type { AdminClient } from "../../src/admin/client.ts";
import type { LogEntry } from "../../src/core/log.ts";
import { DirectoryFailed } from "../../src/directory/directory-failed.ts";
import type { ConnectionServer } from "../../src/servers/connection-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";
import { newDelivery, startApi } from "./api.ts";
import type { Api, ApiOptions } from "./api.ts";

interface Bench extends Api {
  readonly server: ConnectionServer;
  readonly client: AdminClient;
  readonly entries: LogEntry[];
  /** A client of the test's own. */
  connect(): Promise<RawClient>;
}

interface RawClient {
  readonly socket: Socket;
  text(): string;
  /** Waits for the end of the connection. */
  readonly closed: Promise<void>;
  isClosed(): boolean;
}

async function serve(
  t: TestContext,
  { maxConnections = 100, ...options }: ApiOptions & { maxConnections?: number } = {},
): Promise<Bench> {
  const path = join(scratchFolder(t), "admin");
  const api = await startApi(t, options);
  const entries: LogEntry[] = [];
  const server = createAdminServer({
    listener: {
      protocol: "admin",
      address: { kind: "unix", path },
      token: options.token,
      owner: undefined,
      group: undefined,
      permissions: 0o600,
      maxConnections,
      maxConnectionsPerAddress: maxConnections,
    },
    services: api.services,
    log: { write: (entry) => void entries.push(entry) },
  });
  const listener = createServer({ allowHalfOpen: true }, (socket) => server.accept(socket));
  listener.listen(path);
  await once(listener, "listening");
  const client = connectAdmin(`unix:${path}`, options.token);
  t.after(async () => {
    await client.close();
    server.destroy();
    listener.close();
  });
  return {
    ...api,
    server,
    client,
    entries,
    async connect() {
      const socket = connect(path);
      let text = "";
      let isClosed = false;
      socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      socket.on("error", () => undefined);
      const closed = new Promise<void>((resolve) =>
        socket.once("close", () => {
          isClosed = true;
          resolve();
        }),
      );
      await once(socket, "connect");
      t.after(() => socket.destroy());
      return { socket, text: () => text, closed, isClosed: () => isClosed };
    },
  };
}

/** What was sent has been read by now. */
async function settle({ client }: Bench): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1)
    await client.ask("GET", "/v1/backends").catch((error: unknown) => {
      // The clock of the test ends idle connections while they are taken up again.
      if (!(error instanceof AdminCutOff)) throw error;
    });
}

const GET = "GET /v1/backends HTTP/1.1\r\nHost: x\r\n\r\n";

test("who says nothing, or half a request, has gone after a while; a drip does not help", async (t) => {
  const bench = await serve(t);
  const [silent, half, dripping] = [await bench.connect(), await bench.connect(), await bench.connect()];
  half.socket.write("GET /v1/backends HTTP/1.1\r\nHo");
  dripping.socket.write("GET /");
  await until("they are served", () => (bench.server.connectionCount >= 3 ? true : undefined));
  for (const part of ["v1/", "backends", " HTTP/1.1\r\n"]) {
    await settle(bench);
    bench.clock.advance((PATIENCE_MS - 1) / 3);
    dripping.socket.write(part);
  }
  await settle(bench);
  assert.deepEqual([silent.isClosed(), half.isClosed(), dripping.isClosed()], [false, false, false]);
  bench.clock.advance(1);
  await Promise.all([silent.closed, half.closed, dripping.closed]);
});

test("who answers a request and is silent then goes, too; until then the connection serves again", async (t) => {
  const bench = await serve(t);
  const raw = await bench.connect();
  for (const requests of [1, 2]) {
    raw.socket.write(GET);
    await until("the answer", () => (raw.text().split("HTTP/1.1 200 OK").length === requests + 1 ? true : undefined));
    if (requests === 1) bench.clock.advance(PATIENCE_MS - 1);
  }
  await settle(bench);
  bench.clock.advance(PATIENCE_MS - 1);
  assert.equal(raw.isClosed(), false);
  bench.clock.advance(1);
  await raw.closed;
});

test("a body that stops in the middle ends the connection, one that goes on slowly does not", async (t) => {
  const bench = await serve(t);
  const head = (length: number): string => `PUT /v1/user HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
  const [stopped, slow] = [await bench.connect(), await bench.connect()];
  const body = '{"user":"ada","backend":"old"}';
  stopped.socket.write(`${head(body.length)}{`);
  slow.socket.write(head(body.length));
  for (const character of body.slice(0, 4)) {
    slow.socket.write(character);
    await settle(bench);
    bench.clock.advance(PATIENCE_MS / 2 + 1);
  }
  await stopped.closed;
  assert.equal(slow.isClosed(), false);
  slow.socket.write(body.slice(4));
  await until("the answer", () => (slow.text().includes('"changed":true') ? true : undefined));
  assert.equal(bench.directory.findBackend("ada"), "old");
});

test("whoever waits for a drain waits as long as it takes", async (t) => {
  const bench = await serve(t);
  const slow = newDelivery("ada", bench.clock);
  bench.deliveries.add(slow);
  const asked = bench.client.ask<{ drain: unknown }>("POST", "/v1/holds", { body: { user: "ada" } });
  await until("ada is held", () => (bench.directory.findHolds("ada").length === 1 ? true : undefined));
  for (let waited = 0; waited < 5; waited += 1) {
    await settle(bench);
    bench.clock.advance(PATIENCE_MS);
  }
  bench.deliveries.remove(slow);
  assert.deepEqual((await asked).drain, { outcome: "drained", waited_for: 1, cut: 0, settled_ms: 0 });
});

test("fifty holds wait side by side, and another request is not kept by them", async (t) => {
  const bench = await serve(t);
  const users = Array.from({ length: 45 }, (_, at) => `u${at}`);
  const slow = users.map((user) => newDelivery(user, bench.clock));
  for (const delivery of slow) bench.deliveries.add(delivery);
  const asked = users.map((user) => bench.client.ask("POST", "/v1/holds", { body: { user } }));
  await until("all are held", () => (bench.directory.holds.list().length === users.length ? true : undefined));
  assert.equal((await bench.client.ask<{ user: string }>("GET", "/v1/user", { query: { user: "u0" } })).user, "u0");
  for (const delivery of slow) bench.deliveries.remove(delivery);
  await Promise.all(asked);
});

test("on stop idle clients go at once, and who waits for a drain is answered", async (t) => {
  const bench = await serve(t);
  const idle = await bench.connect();
  idle.socket.write(GET);
  await until("the answer", () => (idle.text() === "" ? undefined : true));
  const silent = await bench.connect();
  bench.deliveries.add(newDelivery("ada", bench.clock));
  const asked = bench.client.ask("POST", "/v1/holds", { body: { user: "ada" } });
  await until("ada is held", () => (bench.directory.findHolds("ada").length === 1 ? true : undefined));
  const stopped = bench.server.shutdown();
  await assert.rejects(
    asked,
    (error) => error instanceof AdminRefused && error.status === 503 && error.title === "Stopping",
  );
  await Promise.all([idle.closed, silent.closed, stopped]);
  assert.equal(bench.server.connectionCount, 0);
});

test("past the number of connections a client hears 503, once in the log, and there is room again later", async (t) => {
  const bench = await serve(t, { maxConnections: 3 });
  const first = [await bench.connect(), await bench.connect(), await bench.connect()];
  await until("they are served", () => (bench.server.connectionCount === 3 ? true : undefined));
  const refused = await bench.connect();
  await refused.closed;
  assert.equal(refused.text(), "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  await assert.rejects(
    bench.client.ask("GET", "/v1/backends"),
    (error) =>
      (error instanceof AdminRefused && error.message === "the daemon has no room for another client") ||
      error instanceof AdminCutOff,
  );
  assert.equal(bench.entries.length, 1);
  first[0]?.socket.destroy();
  await until("there is room", () => (bench.server.connectionCount < 3 ? true : undefined));
  await bench.client.ask("GET", "/v1/backends");
});

test("without the token the answer ends the connection, and nothing more is read", async (t) => {
  const bench = await serve(t, { token: "sesame" });
  const raw = await bench.connect();
  raw.socket.write(`PUT /v1/user HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(10_000)}`);
  await raw.closed;
  assert.match(raw.text(), /^HTTP\/1\.1 401 Unauthorized\r\n/);
  assert.equal((await bench.client.ask<{ backends: unknown[] }>("GET", "/v1/backends")).backends.length, 2);
});

const BAD_REQUESTS = [
  { name: "another protocol", bytes: "LHLO x\r\n", status: 400 },
  {
    name: "a head that is too long",
    bytes: `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
    status: 431,
  },
  {
    name: "two lengths",
    bytes: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    status: 400,
  },
  { name: "no host", bytes: "GET /v1/backends HTTP/1.1\r\n\r\n", status: 400 },
] as const;
for (const { name, bytes, status } of BAD_REQUESTS)
  test(`${name} is ${status}, and the end`, async (t) => {
    const bench = await serve(t);
    const raw = await bench.connect();
    raw.socket.write(bytes);
    await raw.closed;
    assert.match(raw.text(), new RegExp(`^HTTP/1\\.1 ${status} `));
    await settle(bench);
  });

test("a client that goes in the middle of an import leaves what was committed, and no bug in the log", async (t) => {
  const bench = await serve(t);
  const raw = await bench.connect();
  raw.socket.write("POST /v1/users/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na,old\n\r\n");
  await settle(bench);
  raw.socket.destroy();
  // The next import is let in as soon as the one that was cut off has ended.
  await until("the next import", async () => {
    try {
      return await bench.client.ask("POST", "/v1/users/import", { text: lines("b,old\n") });
    } catch (error) {
      if (error instanceof AdminRefused && error.status === 409) return undefined;
      throw error;
    }
  });
  assert.deepEqual(bench.entries, []);
  assert.deepEqual(bench.bugs, []);
});

async function* lines(text: string): AsyncGenerator<string> {
  await Promise.resolve();
  yield text;
}

test("an export that breaks off is an error of the client, never a shorter list", async (t) => {
  const bench = await serve(t, {
    wrap: (real) => ({
      ...real,
      users: {
        ...real.users,
        async *all() {
          for (let at = 0; at < 20_000; at += 1) yield { user: `user${at}`, backend: "old" };
          await Promise.resolve();
          throw new DirectoryFailed("DIRECTORY_ERROR", "the disk is gone");
        },
      },
    }),
  });
  let read = 0;
  await assert.rejects(async () => {
    for await (const chunk of bench.client.read("/v1/users/export")) read += chunk.length;
  }, AdminCutOff);
  assert.ok(read > 0);
  assert.deepEqual(
    bench.entries.map((entry) => entry.kind === "message" && entry.text),
    ["an answer broke off: the disk is gone"],
  );
});
