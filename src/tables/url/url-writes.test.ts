import assert from "node:assert/strict";
import { test } from "node:test";
import { startHttpStore } from "../../../test/support/http-store.ts";
import type { HttpStore, HttpStoreOptions } from "../../../test/support/http-store.ts";
import { openType } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { startRawServer } from "../../../test/support/raw-server.ts";
import { TableFailure } from "../table.ts";
import type { Change, WriteOutcome } from "../table.ts";
import type { GuardedSource } from "../wrappers/guard.ts";
import { URL_TABLE } from "./url-table.ts";

interface Opened {
  readonly store: HttpStore;
  readonly table: GuardedSource;
}

async function open(
  t: { after(clean: () => Promise<void>): void },
  onRequest?: HttpStoreOptions["onRequest"],
  options: RawOptions = {},
): Promise<Opened> {
  const store = await startHttpStore(t, new Map(), onRequest && { onRequest });
  return { store, table: openUrl(t, store.url, options) };
}

function openUrl(t: { after(clean: () => Promise<void>): void }, url: string, options: RawOptions = {}): GuardedSource {
  const { table } = openType(URL_TABLE, { url, ...options });
  t.after(() => table.close());
  return table;
}

const set = (key: string, value: string): Change => ({ kind: "set", key, value });
const unset = (key: string): Change => ({ kind: "unset", key });

function write(table: GuardedSource, ...changes: readonly Change[]): Promise<WriteOutcome> {
  assert.ok(table.write);
  return table.write(changes);
}

const bodies: readonly [value: string, body: string][] = [
  ["old", '"old"'],
  ['"old"', '"old"'],
  ["12", "12"],
  ["012", '"012"'],
  ["123456789012345678901234567890", "123456789012345678901234567890"],
  ['{ "a": [1, 2.50] }', '{ "a": [1, 2.50] }'],
  ['{"a":', '"{\\"a\\":"'],
  ["null", "null"],
  ["", '""'],
  [" ", '" "'],
  ["müller", '"müller"'],
  ["\udcff", '"\\udcff"'],
  ['"\udcff"', '"\\"\\udcff\\""'],
];
for (const [value, body] of bodies)
  test(`posted for ${JSON.stringify(value)}: ${body}`, async (t) => {
    const { table, store } = await open(t);
    assert.deepEqual(await write(table, set("a/b c", value)), { kind: "done" });
    const [request] = store.requests;
    assert.equal(request?.method, "POST");
    assert.equal(request.url, "/map/a/b%20c");
    assert.equal(request.headers["content-type"], "application/json");
    assert.equal(request.body, body);
  });

test("text is posted as it is, unless it would not come back so", async (t) => {
  const { table, store } = await open(t, undefined, { format: "text" });
  assert.deepEqual(await write(table, set("a", '"x\ny"')), { kind: "done" });
  assert.equal(store.requests[0]?.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(store.requests[0].body, '"x\ny"');
  assert.deepEqual(await table.lookup("a"), { kind: "found", value: '"x\ny"' });
  assert.equal((await write(table, set("b", "1"), set("a", "x\n"))).kind, "failed");
  assert.equal(store.requests.length, 2);
});

test("changes go one after another in their order, and stop at the first that fails", async (t) => {
  const { table, store } = await open(t, ({ key }, response) => key === "bad" && void response.writeHead(500).end());
  const outcome = await write(table, set("a", "1"), unset("b"), set("bad", "2"), set("c", "3"));
  assert.deepEqual(outcome, { kind: "uncertain", reason: `${store.origin}/map/bad: status 500` });
  assert.deepEqual(
    store.requests.map(({ method, key }) => `${method} ${key}`),
    ["POST a", "DELETE b", "POST bad"],
  );
});

for (const status of [199 + 2, 204, 299])
  test(`a change answered with ${status} is done`, async (t) => {
    const { table } = await open(t, (_request, response) => void response.writeHead(status).end());
    assert.deepEqual(await write(table, set("a", "1"), unset("a")), { kind: "done" });
  });

for (const status of [301, 302, 307, 308, 400, 401, 404, 409, 410, 500, 503])
  test(`a POST answered with ${status} has failed, and is not sent again`, async (t) => {
    const { table, store } = await open(
      t,
      (_request, response) => void response.writeHead(status, { location: "/map/b" }).end(),
    );
    assert.deepEqual(await write(table, set("a", "1")), {
      kind: "failed",
      reason: `${store.origin}/map/a: status ${status}`,
    });
    assert.equal(store.requests.length, 1);
  });

for (const [status, kind] of [
  [404, "done"],
  [410, "done"],
  [302, "failed"],
  [403, "failed"],
  [405, "failed"],
  [500, "failed"],
] as const)
  test(`a DELETE answered with ${status} is ${kind}`, async (t) => {
    const { table, store } = await open(
      t,
      (_request, response) => void response.writeHead(status, { location: "/map/b" }).end(),
    );
    assert.equal((await write(table, unset("a"))).kind, kind);
    assert.equal(store.requests.length, 1);
  });

for (const status of [502, 504])
  test(`a proxy that answers ${status} does not know what became of a change`, async (t) => {
    const { table } = await open(t, (_request, response) => void response.writeHead(status).end());
    for (const change of [set("a", "1"), unset("a")]) assert.equal((await write(table, change)).kind, "uncertain");
  });

test("what found no connection has failed for certain", async (t) => {
  const { table, store } = await open(t);
  await store.stop();
  assert.equal((await write(table, set("a", "1"))).kind, "failed");
});

test("what cannot be done is found before anything is sent", async (t) => {
  const { table, store } = await open(t);
  const increment: Change = { kind: "increment", key: "n", by: 1n };
  for (const impossible of [increment, set("../x", "1"), unset("..")]) {
    const outcome = await write(table, set("a", "1"), impossible);
    assert.equal(outcome.kind, "failed");
  }
  assert.equal(store.requests.length, 0);
});

test("a POST whose reply is lost is never sent a second time", async (t) => {
  for (const reply of ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"]) {
    let requests = 0;
    const server = await startRawServer(t, (socket) => {
      socket.on("data", () => {
        requests += 1;
        if (requests === 1) socket.write("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
        else socket.end(reply);
      });
    });
    const table = openUrl(t, `http://127.0.0.1:${server.port}/{}`);
    assert.deepEqual(await write(table, set("a", "1")), { kind: "done" });
    assert.equal((await write(table, set("b", "2"))).kind, "uncertain");
    assert.equal(requests, 2);
    assert.equal((await write(table, set("c", "3"), set("d", "4"))).kind, "uncertain");
    assert.equal(requests, 3);
  }
});

test("a transaction that breaks off in the middle is uncertain", async (t) => {
  let requests = 0;
  const server = await startRawServer(t, (socket) => {
    socket.on("data", () => {
      requests += 1;
      if (requests === 1) socket.write("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n");
      else socket.resetAndDestroy();
    });
  });
  const table = openUrl(t, `http://127.0.0.1:${server.port}/{}`);
  assert.equal((await write(table, set("a", "1"), set("b", "2"), set("c", "3"))).kind, "uncertain");
  assert.equal(requests, 2);
});

async function list(table: GuardedSource, prefix: string): Promise<unknown[]> {
  assert.ok(table.list);
  return (await Array.fromAsync(table.list(prefix))).flat();
}

test("a list is of names, or of names and values", async (t) => {
  const { table, store } = await open(t);
  store.values.set("a/", '["x", "y z", "\\u00e4"]');
  assert.deepEqual(await list(table, "a/"), [{ key: "a/x" }, { key: "a/y z" }, { key: "a/ä" }]);
  store.values.set("b/", '{"x": "text", "y": {"n": [1, 12345678901234567890]}, "z": null}');
  assert.deepEqual(await list(table, "b/"), [
    { key: "b/x", value: "text" },
    { key: "b/y", value: '{"n":[1,12345678901234567890]}' },
    { key: "b/z", value: "null" },
  ]);
  store.values.set("c/", "[]");
  for (const prefix of ["c/", "nothing/"]) assert.deepEqual(await list(table, prefix), []);
  assert.deepEqual(
    store.requests.map(({ url }) => url),
    ["/map/a/", "/map/b/", "/map/c/", "/map/nothing/"],
  );
});

for (const body of ["", "x", '"text"', "12", "null", '["x", 1]', '["x", ["y"]]', '["x",'])
  test(`what is no list is a failure, never a short one: ${body}`, async (t) => {
    const { table, store } = await open(t);
    store.values.set("a/", body);
    await assert.rejects(list(table, "a/"), TableFailure);
  });

for (const status of [204, 401, 429, 500])
  test(`a list answered with ${status} is a failure`, async (t) => {
    const { table } = await open(t, (_request, response) => void response.writeHead(status).end());
    await assert.rejects(list(table, "a/"), TableFailure);
  });

test("a list of what leads elsewhere is a failure", async (t) => {
  const { table, store } = await open(t);
  await assert.rejects(list(table, "../"), TableFailure);
  assert.equal(store.requests.length, 0);
});
