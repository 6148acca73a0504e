import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { CA_CERTIFICATE } from "../../../test/support/certificates.ts";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { startHttpStore } from "../../../test/support/http-store.ts";
import type { HttpStoreOptions } from "../../../test/support/http-store.ts";
import { openType } from "../../../test/support/open-type.ts";
import type { OpenedType, RawOptions } from "../../../test/support/open-type.ts";
import { startRawServer } from "../../../test/support/raw-server.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { URL_TABLE } from "./url-table.ts";

const FOUND = { kind: "found", value: "old" };
const REPLY = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"old"';

function open(t: TestContext, url: string, options: RawOptions = {}): OpenedType {
  const opened = openType(URL_TABLE, { url, ...options });
  t.after(() => opened.table.close());
  return opened;
}

/** `/map/KEY` redirects with status KEY to wherever `location` says. */
const redirectTo =
  (location: string): NonNullable<HttpStoreOptions["onRequest"]> =>
  ({ key }, response) =>
    /^\d+$/.test(key) && void response.writeHead(Number(key), { location }).end("elsewhere");

for (const status of [301, 302, 303, 307, 308])
  for (const location of ["/map/user1", "user1", "../map/user1?x=1", "//HOST/map/user1", "http://HOST/map/user1"])
    test(`a redirect by ${status} to ${location}`, async (t) => {
      let host = "";
      const store = await startHttpStore(
        t,
        new Map([
          ["user1", "old"],
          ["user1?x=1", "old"],
        ]),
        {
          onRequest: (request, response) => redirectTo(location.replace("HOST", host))(request, response),
        },
      );
      host = store.origin.slice("http://".length);
      const { table } = open(t, store.url, { bearer_token: "t0ken", pool: "1" });
      assert.deepEqual(await table.lookup(String(status)), FOUND);
      assert.deepEqual(
        store.requests.map(({ headers }) => headers["authorization"]),
        ["Bearer t0ken", "Bearer t0ken"],
      );
      assert.equal(await store.connections(), 1);
    });

test("a redirect to another host is followed without our credentials", async (t) => {
  const other = await startHttpStore(t, new Map([["user1", "old"]]));
  const store = await startHttpStore(t, new Map(), { onRequest: redirectTo(`${other.origin}/map/user1`) });
  const { table } = open(t, store.url, { bearer_token: "t0ken", headers: { "X-Key": "s3cret" } });
  assert.deepEqual(await table.lookup("302"), FOUND);
  assert.equal(other.requests[0]?.headers["authorization"], undefined);
  assert.equal(other.requests[0]?.headers["x-key"], undefined);
});

test("a service behind a virtual host may redirect to itself", async (t) => {
  const store = await startHttpStore(t, new Map([["user1", "old"]]), {
    onRequest: redirectTo("http://mail.example/map/user1"),
  });
  const { table } = open(t, store.url, { headers: { Host: "mail.example" } });
  assert.deepEqual(await table.lookup("302"), FOUND);
  assert.deepEqual(
    store.requests.map(({ headers }) => headers["host"]),
    ["mail.example", "mail.example"],
  );
});

for (const [location, reason] of [
  ["https://127.0.0.1:1/map/user1", /: the redirect leads to https:\/\/127\.0\.0\.1:1, where it is not followed$/],
  ["ftp://127.0.0.1/", /not followed$/],
  ["file:///etc/passwd", /not followed$/],
  ["http://", /: the redirect leads to no URL$/],
  ["/map/302", /: there are more than 5 redirects$/],
] as const)
  test(`a redirect that is not followed: ${location}`, async (t) => {
    const store = await startHttpStore(t, new Map(), { onRequest: redirectTo(location) });
    const answer = await open(t, store.url, { absent_status: ["4xx"] }).table.lookup("302");
    assert.ok(answer.kind === "failed");
    assert.match(answer.reason, reason);
    assert.equal(answer.scope, undefined);
    assert.ok(store.requests.length === 1 || store.requests.length === 6);
  });

test("a redirect without a place is failed", async (t) => {
  const store = await startHttpStore(t, new Map(), {
    onRequest: (_request, response) => void response.writeHead(302).end(),
  });
  assert.equal((await open(t, store.url).table.lookup("user1")).kind, "failed");
});

test("redirects stay on a unix socket", async (t) => {
  let location = "";
  const store = await startHttpStore(t, new Map([["user1", "old"]]), {
    socketPath: join(scratchFolder(t), "app.sock"),
    onRequest: (request, response) => redirectTo(location)(request, response),
  });
  const { table } = open(t, store.url);
  for (location of ["/map/user1", "http://localhost/map/user1"]) assert.deepEqual(await table.lookup("302"), FOUND);
  location = "http://127.0.0.1:1/map/user1";
  const answer = await table.lookup("302");
  assert.ok(answer.kind === "failed");
  assert.match(answer.reason, /^http\+unix:\/\/%2F.*\.sock\/map\/302: the redirect leads away from the unix socket/);
});

test("a service is trusted by the CA that is named, and by that alone", async (t) => {
  const path = join(scratchFolder(t), "ca.pem");
  writeFileSync(path, CA_CERTIFICATE);
  const store = await startHttpStore(t, new Map([["user1", "old"]]), { isTls: true });
  assert.deepEqual(await open(t, store.url, { ca_file: path }).table.lookup("user1"), FOUND);
  assert.deepEqual(
    await open(t, store.url.replace("127.0.0.1", "localhost"), { ca_file: path }).table.lookup("user1"),
    FOUND,
  );
  const answer = await open(t, store.url).table.lookup("user1");
  assert.ok(answer.kind === "failed");
  assert.equal(answer.scope, "source");
  assert.match(answer.reason, /certificate.*ca_file may name/);
});

test("TLS where none is spoken, and none where it is", async (t) => {
  const plain = await startHttpStore(t);
  const secure = await startHttpStore(t, new Map(), { isTls: true });
  for (const url of [plain.url.replace("http:", "https:"), secure.url.replace("https:", "http:")]) {
    const answer = await open(t, url, { absent_status: ["4xx"] }).table.lookup("user1");
    assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
  }
});

test("a connection that was closed while it was idle costs no lookup", async (t) => {
  for (const close of ["end", "resetAndDestroy"] as const) {
    const server = await startRawServer(t, (socket, number) => {
      let requests = 0;
      // The second request on a connection is answered with nothing, as if both had crossed.
      socket.on("data", () => {
        requests += 1;
        if (requests === 1 && number !== 2) socket.write(REPLY);
        else socket[close]();
      });
    });
    const { table } = open(t, `http://127.0.0.1:${server.port}/{}`, { pool: "1" });
    assert.deepEqual(await table.lookup("user1"), FOUND);
    const answer = await table.lookup("user1");
    assert.ok(answer.kind === "failed" && answer.scope === "source", "the new connection was closed as well");
    assert.equal(server.accepted, 2);
    for (let round = 0; round < 4; round += 1) assert.deepEqual(await table.lookup("user1"), FOUND);
  }
});

test("a lookup is asked a second time only where nothing of a reply came", async (t) => {
  for (const beginning of ["H", "HTTP/1.1 200 OK\r\n", "garbage"]) {
    const server = await startRawServer(t, (socket) => {
      socket.on("data", () => socket.end(beginning));
    });
    const answer = await open(t, `http://127.0.0.1:${server.port}/{}`).table.lookup("user1");
    assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
    assert.equal(server.accepted, 1, beginning);
  }
});

test("who gives up closes the connection, and costs nobody else", async (t) => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
  const server = await startRawServer(t, (socket, number) => {
    socket.on("close", () => resolve());
    socket.on("data", () => (number === 1 ? onAsked() : void socket.write(REPLY)));
  });
  const { source } = open(t, `http://127.0.0.1:${server.port}/{}`, { pool: "1" });
  const aborter = new AbortController();
  const other = new AbortController();
  const first = source.lookup("user1", aborter.signal);
  await asked;
  // Neither of these has a connection: one gives up waiting, the other one gets it.
  const second = source.lookup("user1", other.signal);
  const third = source.lookup("user1", new AbortController().signal);
  other.abort();
  assert.equal((await second).kind, "failed");
  aborter.abort(new Error("no answer within 5 ms"));
  const answer = await first;
  assert.ok(answer.kind === "failed");
  assert.match(answer.reason, /no answer within 5 ms$/);
  await closed;
  assert.deepEqual(await third, FOUND);
  assert.equal((await source.lookup("user1", AbortSignal.abort())).kind, "failed");
});

test("a unix socket that is not there is a failure of the source", async (t) => {
  const opened = openType(URL_TABLE, { url: `http+unix://${encodeURIComponent(join(scratchFolder(t), "none"))}/{}` });
  const answer = await opened.table.lookup("user1");
  assert.ok(answer.kind === "failed" && answer.scope === "source");
  assert.match(answer.reason, /ENOENT/);
  await opened.table.close();
});

test("that credentials are refused is said once a minute", async (t) => {
  const clock = createFakeClock();
  const store = await startHttpStore(t, new Map(), {
    onRequest: ({ key }, response) => void response.writeHead(Number(key.split("?")[0])).end(),
  });
  const { table, said } = openType(URL_TABLE, { url: `${store.url}?token=s3cret`, absent_status: ["4xx"] }, { clock });
  t.after(() => table.close());
  for (const status of ["401", "403", "404"]) assert.deepEqual(await table.lookup(status), { kind: "absent" });
  const line = (status: string): object => ({
    level: "error",
    text: `${store.origin}/map/${status}: status ${status} is answered as if there were no such key; does the service refuse us as a client?`,
  });
  assert.deepEqual(said, [line("401")]);
  clock.advance(60_000);
  assert.deepEqual(await table.lookup("403"), { kind: "absent" });
  assert.deepEqual(said, [line("401"), line("403")]);
});
