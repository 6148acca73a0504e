import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { Clock } from "../../src/core/clock.ts";
import { createAuthHttpServer } from "../../src/servers/auth-http/auth-http-server.ts";
import type { AuthHttpListener } from "../../src/servers/options.ts";
import type { ReachableLogin } from "../../src/views/login.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { until } from "../support/until.ts";

const LISTENER: AuthHttpListener = {
  protocol: "auth-http",
  address: { kind: "tcp", host: "127.0.0.1", port: 8143 },
  owner: undefined,
  group: undefined,
  permissions: undefined,
  maxConnections: 100,
  maxConnectionsPerAddress: 100,
  secret: "s3cret",
  header: "x-auth-key",
  masterSeparator: "*",
};

const OLD = {
  kind: "go",
  userKey: "ada",
  backend: "old",
  place: { address: { host: "imap.example", port: 143 }, tls: "none", master: { user: "m", password: "hunter3" } },
} as const;

interface Served {
  readonly asked: string[];
  readonly lines: string[];
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly connectionCount: () => number;
  readonly shutdown: () => Promise<void>;
  connect(): Socket;
  /** Everything that is answered, until the server closes. */
  exchange(...pieces: readonly string[]): Promise<string>;
}

type Scope = { after(clean: () => unknown): void };

async function serve(
  t: Scope,
  findLogin: (service: string, user: string) => ReachableLogin | Promise<ReachableLogin>,
): Promise<Served> {
  const asked: string[] = [];
  const lines: string[] = [];
  const clock: Clock & ReturnType<typeof createFakeClock> = createFakeClock();
  const server = createAuthHttpServer({
    listener: LISTENER,
    clock,
    log: { write: (entry) => void (entry.kind === "message" && lines.push(`${entry.level}: ${entry.text}`)) },
    findLogin(service, user) {
      asked.push(`${service} ${user}`);
      return findLogin(service, user);
    },
  });
  const listener = createServer({ allowHalfOpen: true }, (socket) => server.accept(socket)).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.destroy();
    listener.close();
  });
  const open = (): Socket => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    sockets.push(socket);
    return socket;
  };
  return {
    asked,
    lines,
    clock,
    connectionCount: () => server.connectionCount,
    shutdown: () => server.shutdown(),
    connect: open,
    async exchange(...pieces) {
      const socket = open().setEncoding("latin1");
      for (const piece of pieces) {
        await new Promise<void>((resolve) => socket.write(piece, "latin1", () => resolve()));
        await new Promise(setImmediate);
      }
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return text;
    },
  };
}

function request(given: Readonly<Record<string, string | undefined>> = {}): string {
  const headers = {
    Host: "127.0.0.1",
    "Auth-Method": "plain",
    "Auth-User": "ada",
    "Auth-Pass": "hunter2",
    "Auth-Protocol": "imap",
    "Client-IP": "192.0.2.9",
    "X-Auth-Key": "s3cret",
    ...given,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  return `GET /auth HTTP/1.0\r\n${lines.join("")}\r\n`;
}

const GO: ReachableLogin = { login: OLD, ip: "10.0.0.5" };
const GOES = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.5\r\nAuth-Port: 143\r\n\r\n";
const FORBIDDEN = "HTTP/1.0 403 Forbidden\r\n\r\n";
const BAD = "HTTP/1.0 400 Bad Request\r\n\r\n";

test("a login goes to its store, in any chunking, now or later, and the answer ends the connection", async (t) => {
  const { exchange, asked } = await serve(t, () => GO);
  assert.equal(await exchange(request()), GOES);
  assert.equal(await exchange(...request()), GOES);
  assert.equal(await exchange(request(), "GET / HTTP/1.0\r\n\r\n"), GOES);
  assert.deepEqual(asked, ["imap ada", "imap ada", "imap ada"]);
  const late = await serve(t, () => Promise.resolve(GO));
  assert.equal(await late.exchange(request()), GOES);
});

test("a name is decoded, and a master's separator ends it", async (t) => {
  const { exchange, asked } = await serve(t, () => GO);
  await exchange(request({ "Auth-User": "joe%20a@example.com*admin%25", "Auth-Protocol": "smtp" }));
  await exchange(request({ "Auth-User": "\xc3\xbcser+x", "Auth-Protocol": "pop3" }));
  assert.deepEqual(asked, ["submission joe a@example.com", "pop3 \xc3\xbcser+x"]);
});

const refusals = [
  { login: { kind: "unknown", userKey: "ada" }, want: "[AUTHENTICATIONFAILED] Authentication failed" },
  { login: { kind: "refused", userKey: "ada" }, want: "[CONTACTADMIN] This mailbox is closed" },
  {
    login: { kind: "locked", userKey: "ada" },
    want: "[UNAVAILABLE] Your mailbox is being moved, try again in a few minutes",
  },
  {
    login: { kind: "failed", userKey: "ada", reason: "down" },
    want: "[UNAVAILABLE] Temporary failure, try again later",
  },
] as const;
for (const { login, want } of refusals)
  test(`${login.kind}: ${want}`, async (t) => {
    const { exchange } = await serve(t, () => ({ login, ip: "" }));
    assert.equal(await exchange(request()), `HTTP/1.0 200 OK\r\nAuth-Status: ${want}\r\nAuth-Wait: 3\r\n\r\n`);
  });

test("who does not know the secret learns nothing of anybody", async (t) => {
  const { exchange, asked, lines } = await serve(t, () => GO);
  for (const secret of [undefined, "", "s3cre", "S3CRET"])
    for (const user of ["ada", undefined, "%"])
      assert.equal(await exchange(request({ "X-Auth-Key": secret, "Auth-User": user })), FORBIDDEN);
  assert.deepEqual(asked, []);
  assert.deepEqual(lines, [
    "warning: auth-http at 127.0.0.1:8143: a request has no x-auth-key: it must be as auth_http_header of nginx has it",
  ]);
});

test("what is no request of nginx is rejected without a word that nginx would take for a refusal", async (t) => {
  const { exchange, asked } = await serve(t, () => GO);
  assert.equal(await exchange("EHLO x\r\n\r\n"), BAD);
  assert.equal(await exchange(request({ "Auth-Protocol": "nntp" })), BAD);
  assert.equal(await exchange(request({ "Auth-User": "%4" })), BAD);
  assert.equal(await exchange(request().replace("GET", "POST")), "HTTP/1.0 405 Method Not Allowed\r\n\r\n");
  assert.match(await exchange(request({ "X-Big": "b".repeat(70_000) })), /^HTTP\/1\.0 431 /);
  assert.deepEqual(asked, []);
});

test("what only another configuration of nginx would put right is temporary, and told", async (t) => {
  const { exchange, asked, lines, clock } = await serve(t, () => GO);
  const temporary =
    "HTTP/1.0 200 OK\r\nAuth-Status: [UNAVAILABLE] Temporary failure, try again later\r\nAuth-Wait: 3\r\n\r\n";
  for (let at = 0; at < 3; at += 1) assert.equal(await exchange(request({ "Auth-Method": "cram-md5" })), temporary);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^warning: .*cram-md5 needs passwords/);
  clock.advance(60_000);
  await exchange(request({ "Auth-Method": "cram-md5" }));
  assert.equal(lines.length, 2);
  assert.deepEqual(asked, []);
});

test("lines of the log name the user and no password", async (t) => {
  const logins = [GO, { login: { kind: "failed", userKey: "x", reason: "table users: down" }, ip: "" } as const];
  const { exchange, lines } = await serve(t, () => logins.shift() ?? GO);
  await exchange(request({ "Auth-User": "a%0d%0ab" }));
  await exchange(request({ "Auth-User": "u".repeat(1000) }));
  assert.deepEqual(lines, [
    'debug: imap "a\\r\\nb" from 192.0.2.9: old at imap.example:143',
    `info: imap "${"u".repeat(100)}…" from 192.0.2.9: told to come again: table users: down`,
    "warning: auth-http at 127.0.0.1:8143: logins have to wait: table users: down",
  ]);
  assert.doesNotMatch(lines.join(), /hunter/);
});

test("a client that sends half a request, or does not close, is let go", async (t) => {
  const { clock, connect: open, connectionCount } = await serve(t, () => GO);
  const half = open();
  half.write(request().slice(0, 50));
  await until("it is connected", () => (connectionCount() === 1 ? true : undefined));
  clock.advance(10_000);
  // Its end may be a reset: half a request is unread.
  await once(half, "close").catch(() => undefined);
  const lingering = connectLingering(open());
  await once(lingering, "end");
  await until("it lingers", () => (connectionCount() === 1 ? true : undefined));
  clock.advance(10_000);
  await until("it is gone", () => (connectionCount() === 0 ? true : undefined));
});

/** Asks, and does not close when the server does. */
function connectLingering(socket: Socket): Socket {
  socket.allowHalfOpen = true;
  socket.write(request());
  return socket.resume();
}

test("a shutdown answers who has asked, and waits for nobody else", async (t) => {
  const late = Promise.withResolvers<ReachableLogin>();
  const { exchange, asked, shutdown, connect: open, connectionCount } = await serve(t, () => late.promise);
  const answer = exchange(request());
  const idle = open();
  await until("it has asked", () => (asked.length === 1 && connectionCount() === 2 ? true : undefined));
  const down = shutdown();
  await once(idle, "close");
  late.resolve(GO);
  assert.equal(await answer, GOES);
  await down;
});
