import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { MAX_UNIX_PATH_BYTES } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import { CannotListen } from "./cannot-listen.ts";
import { listen } from "./listener.ts";
import type { Listener } from "./listener.ts";
import { applyAccess, placeSocket } from "./socket-file.ts";
import type { SocketAccess } from "./socket-file.ts";

const IS_ROOT = process.geteuid?.() === 0;
const AS_IS: SocketAccess = { owner: undefined, group: undefined, permissions: undefined };
const events = {
  accept(socket: Socket) {
    socket.on("error", () => {}); // the test for a live socket goes away at once
    socket.end("hello\n");
  },
  acceptFailed() {},
};

const unix = (path: string): Endpoint => ({ kind: "unix", path });
const tcp = (host: string, port = 0): Endpoint => ({ kind: "tcp", host, port });

async function opened(
  t: { after(clean: () => void): void },
  address: Endpoint,
  access: Partial<SocketAccess> = {},
): Promise<Listener> {
  const listener = await listen({ ...AS_IS, ...access, address }, events);
  t.after(() => listener.close());
  return listener;
}

/** What a client reads to the end; the system's code if it cannot connect. */
async function greetingFrom(address: Endpoint, host = "127.0.0.1"): Promise<string> {
  const socket = address.kind === "unix" ? connect(address.path) : connect(address.port, host);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  try {
    await once(socket, "end");
    socket.end();
    return text;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "?";
  }
}

/** Leaves a socket file that nobody serves, as a daemon that was killed does. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.alive`, resolve));
  renameSync(`${path}.alive`, path); // Node removes a socket under the name it bound
  await new Promise((resolve) => server.close(resolve));
  assert.equal(existsSync(path), true);
}

async function refusal(address: Endpoint, access: Partial<SocketAccess> = {}): Promise<string> {
  const error = await listen({ ...AS_IS, ...access, address }, events).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CannotListen, `refused: ${String(error)}`);
  return error.message;
}

test("a unix socket serves, has the rights asked for, and is gone with its listener", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "lmtp");
  const uid = IS_ROOT ? 65_534 : (process.geteuid?.() ?? 0);
  const group = IS_ROOT ? "nogroup" : String(process.getegid?.());
  const listener = await opened(t, unix(path), { owner: String(uid), group, permissions: 0o620 });
  assert.equal(await greetingFrom(unix(path)), "hello\n");
  const found = statSync(path);
  assert.deepEqual([found.mode & 0o777, found.uid, String(found.gid)], [0o620, uid, IS_ROOT ? "65534" : group]);
  assert.deepEqual(readdirSync(folder), ["lmtp"]);
  listener.close();
  assert.deepEqual(readdirSync(folder), []);
});

test("nobody can reach the socket before its rights are set", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "lmtp");
  const seen: unknown[] = [];
  const access = {
    uid: undefined,
    gid: undefined,
    get permissions() {
      seen.push({ isInPlace: existsSync(path) });
      return 0o660;
    },
  };
  const server = createServer();
  t.after(() => server.close());
  await placeSocket(path, access, async (boundPath) => {
    seen.push({ folderMode: statSync(dirname(boundPath)).mode & 0o777 });
    await new Promise<void>((resolve) => server.listen(boundPath, resolve));
  });
  assert.deepEqual(seen, [{ folderMode: 0o700 }, { isInPlace: false }]);
  assert.equal(statSync(path).mode & 0o777, 0o660);
});

test("a path of the greatest length works", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "x".repeat(MAX_UNIX_PATH_BYTES - folder.length - 1));
  assert.equal(path.length, MAX_UNIX_PATH_BYTES);
  await opened(t, unix(path), { permissions: 0o600 });
  assert.equal(await greetingFrom(unix(path)), "hello\n");
});

test("a stale socket is replaced", async (t) => {
  const path = join(scratchFolder(t), "lmtp");
  await leaveStale(path);
  assert.equal(await greetingFrom(unix(path)), "ECONNREFUSED");
  await opened(t, unix(path));
  assert.equal(await greetingFrom(unix(path)), "hello\n");
});

test("a live socket is an error and goes on living", async (t) => {
  const path = join(scratchFolder(t), "lmtp");
  await opened(t, unix(path));
  assert.equal(
    await refusal(unix(path)),
    `cannot listen on unix:${path}: another process serves this socket: is the daemon already running?`,
  );
  assert.equal(await greetingFrom(unix(path)), "hello\n");
});

test("a file, a folder or a link is left alone", async (t) => {
  const folder = scratchFolder(t);
  writeFileSync(join(folder, "file"), "precious");
  mkdirSync(join(folder, "folder"));
  symlinkSync("/nonexistent", join(folder, "link"));
  for (const name of ["file", "folder", "link"])
    assert.match(await refusal(unix(join(folder, name))), /a file that is no socket is there; it is left alone/);
  assert.deepEqual(readdirSync(folder).sort(), ["file", "folder", "link"]);
});

test("what is missing is named", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "lmtp");
  assert.match(
    await refusal(unix(join(folder, "run", "lmtp"))),
    /: the folder \S+\/run does not exist: create it, or under systemd use RuntimeDirectory=$/,
  );
  assert.match(await refusal(unix(path), { owner: "nosuchuser" }), /: there is no user "nosuchuser"$/);
  assert.match(await refusal(unix(path), { group: "nosuchgroup" }), /: there is no group "nosuchgroup"$/);
  writeFileSync(join(folder, "file"), "");
  assert.match(await refusal(unix(join(folder, "file", "lmtp"))), /\/file is not a folder$/);
  assert.match(await refusal(tcp("no-such-host.invalid")), /: the name "no-such-host.invalid" has no address \(\w+\)$/);
  assert.match(await refusal(tcp("192.0.2.1")), /: this machine has no such address$/);
});

test("without rights the reason is named and nothing is left behind", async (t) => {
  const folder = scratchFolder(t);
  const open = join(folder, "open");
  mkdirSync(open);
  chmodSync(folder, 0o755);
  chmodSync(open, 0o777);
  if (IS_ROOT) process.seteuid?.(65_534);
  else chmodSync(folder, 0o555);
  try {
    assert.match(await refusal(unix(join(folder, "lmtp"))), /: user id \d+ has no right to create a socket in /);
    assert.match(
      await refusal(unix(join(open, "lmtp")), { owner: "0" }),
      /: only root may give the socket to another user, or to a group we are not in$/,
    );
  } finally {
    if (IS_ROOT) process.seteuid?.(0);
    else chmodSync(folder, 0o755);
  }
  assert.deepEqual(readdirSync(open), []);
});

test("closing leaves a socket that another process put in its place", async (t) => {
  const path = join(scratchFolder(t), "lmtp");
  const first = await opened(t, unix(path));
  renameSync(path, `${path}.old`);
  await opened(t, unix(path));
  first.close();
  assert.equal(await greetingFrom(unix(path)), "hello\n");
  await assert.rejects(first.changeAccess(AS_IS), /stay as they are: the socket was replaced by another process$/);
});

test("a link, or a file of another, in the socket's place is not given away", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "lmtp");
  const precious = join(folder, "precious");
  writeFileSync(precious, "", { mode: 0o600 });
  const plant = [() => symlinkSync(precious, path), () => linkSync(precious, path)];
  for (const put of plant) {
    const access = { uid: undefined, gid: undefined, permissions: 0o666 };
    const server = createServer();
    t.after(() => server.close());
    const identity = await placeSocket(path, access, (at) => new Promise((resolve) => server.listen(at, resolve)));
    renameSync(path, `${path}.old`);
    put();
    assert.throws(() => applyAccess(path, identity, access), { code: "CANNOT_LISTEN" });
    unlinkSync(path);
    assert.equal(statSync(precious).mode & 0o777, 0o600);
  }
  // A second name by a hard link is one that somebody else gave it.
  const server = createServer();
  t.after(() => server.close());
  const planted = placeSocket(path, { uid: undefined, gid: undefined, permissions: 0o666 }, async (at) => {
    await new Promise<void>((resolve) => server.listen(at, resolve));
    linkSync(at, join(folder, "second"));
  });
  await assert.rejects(planted, {
    code: "CANNOT_LISTEN",
    message: /: the socket was replaced while its rights were set$/,
  });
  assert.deepEqual(readdirSync(folder).sort(), ["lmtp.old", "precious", "second"]);
});

test("rights change under a socket that stays", async (t) => {
  const path = join(scratchFolder(t), "lmtp");
  const listener = await opened(t, unix(path), { permissions: 0o600 });
  await listener.changeAccess({ ...AS_IS, permissions: 0o666 });
  assert.equal(statSync(path).mode & 0o777, 0o666);
  await assert.rejects(listener.changeAccess({ ...AS_IS, owner: "nosuchuser" }), {
    message: `unix:${path}: owner, group and permissions stay as they are: there is no user "nosuchuser"`,
  });
});

test("TCP over IPv4, IPv6 and names, each with the port it got", async (t) => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === "::1"));
  if (!hasIpv6) assert.match(await refusal(tcp("::1")), /: this machine has no such address$/);
  for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    const { address } = await opened(t, tcp(host));
    assert.ok(address.kind === "tcp" && address.port > 0);
    assert.equal(await greetingFrom(address, host), "hello\n");
  }
  const { address } = await opened(t, tcp("localhost"));
  assert.equal(await greetingFrom(address, "localhost"), "hello\n");
});

test("a port in use is an error that says how to find who has it", async (t) => {
  const { address } = await opened(t, tcp("127.0.0.1"));
  assert.ok(address.kind === "tcp");
  assert.equal(
    await refusal(address),
    `cannot listen on 127.0.0.1:${address.port}: another process listens there already ` +
      `(which one: ss -ltnp "sport = :${address.port}")`,
  );
});

test("after close nobody is accepted, but an open connection goes on", async () => {
  const accepted: Socket[] = [];
  const listener = await listen(
    { ...AS_IS, address: tcp("127.0.0.1") },
    { accept: (socket) => void accepted.push(socket), acceptFailed: () => {} },
  );
  assert.ok(listener.address.kind === "tcp");
  const client = connect(listener.address.port, "127.0.0.1");
  client.write("one");
  await once(client, "connect");
  while (accepted.length === 0) await new Promise((resolve) => setImmediate(resolve));
  listener.close();
  assert.equal(await greetingFrom(listener.address), "ECONNREFUSED");
  accepted[0]?.end("still here");
  const [chunk] = (await once(client, "data")) as [Buffer];
  assert.equal(chunk.toString(), "still here");
  client.destroy();
});
