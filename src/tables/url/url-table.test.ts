import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openType } from "../../../test/support/open-type.ts";
import type { OpenedType, RawOptions } from "../../../test/support/open-type.ts";
import { startHttpStore } from "../../../test/support/http-store.ts";
import type { HttpStore, HttpStoreOptions } from "../../../test/support/http-store.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { ODD_KEYS, testTableContract } from "../../../test/support/table-contract.ts";
import type { TableContract } from "../../../test/support/table-contract.ts";
import { testLists } from "../../../test/support/table-contract-lists.ts";
import type { TableType } from "../table-type.ts";
import { URL_TABLE } from "./url-table.ts";

/** GET of one URL is a lookup as well as a list, so that a service can be tested for one of them at a time. */
const WITHOUT_LIST: TableType = {
  ...URL_TABLE,
  open(options, context) {
    const source = URL_TABLE.open(options, context);
    return {
      lookup: source.lookup.bind(source),
      ...(source.write && { write: source.write.bind(source) }),
      ...(source.close && { close: source.close.bind(source) }),
    };
  },
};

const contract = (
  name: string,
  options: (t: { after(clean: () => void): void }) => HttpStoreOptions,
): TableContract => ({
  name,
  type: WITHOUT_LIST,
  async start(t, entries) {
    const store = await startHttpStore(t, entries, options(t));
    return { options: { url: store.url }, break: () => store.stop(), repair: () => store.start() };
  },
  holdsKeys: (key) => !/(?:^|\/)\.\.?(?:\/|$)/.test(key),
  holdsValues: () => true,
  writes: true,
});

testTableContract(contract("url", () => ({})));
testTableContract(contract("url over a unix socket", (t) => ({ socketPath: join(scratchFolder(t), "app.sock") })));
testLists(
  {
    ...contract("url list", () => ({ isLister: true })),
    type: URL_TABLE,
    listsKeysOnly: true,
  },
  (what, run) => void test(`url list: ${what}`, run),
);

export interface Opened extends OpenedType {
  readonly store: HttpStore;
}

async function open(
  t: { after(clean: () => Promise<void>): void },
  options: RawOptions = {},
  storeOptions: HttpStoreOptions = {},
): Promise<Opened> {
  const store = await startHttpStore(t, new Map([["user1", "old"]]), storeOptions);
  const opened = openType(URL_TABLE, { url: store.url, ...options });
  t.after(() => opened.table.close());
  return { ...opened, store };
}

const found = (value: string): object => ({ kind: "found", value });

test("the key comes percent-encoded, and nothing else of it", async (t) => {
  const { table, store } = await open(t);
  for (const key of ODD_KEYS) await table.lookup(key);
  const asked = store.requests.map(({ key }) => key);
  assert.deepEqual(
    asked,
    ODD_KEYS.filter((key) => ![".", "..", "../../etc/passwd"].includes(key)),
  );
  assert.ok(store.requests.every(({ method }) => method === "GET"));
});

const values: readonly [json: string, value: string][] = [
  ['"old"', "old"],
  [' "a\\u00e4\\/b" ', "aä/b"],
  ['""', ""],
  ['{ "a": [1, 2.50],\n "b": "x  y" }', '{"a":[1,2.50],"b":"x  y"}'],
  ["123456789012345678901234567890", "123456789012345678901234567890"],
  ["true", "true"],
  ["null", "null"],
  ["[]\n", "[]"],
];
for (const [json, value] of values)
  test(`the value of ${JSON.stringify(json)}`, async (t) => {
    const { table, store } = await open(t);
    store.values.set("user1", json);
    assert.deepEqual(await table.lookup("user1"), found(value));
  });

for (const body of ["", " ", "old", "'old'", '"old', "{}{}", "NaN", "<html>", '\ufeff"old"', "[1,]"])
  test(`no JSON is failed, for this key alone: ${JSON.stringify(body)}`, async (t) => {
    const { table, store } = await open(t);
    store.values.set("user1", body);
    assert.deepEqual(await table.lookup("user1"), {
      kind: "failed",
      reason: `${store.origin}/map/user1: the reply is not JSON`,
    });
  });

for (const [body, value] of [
  ["old", "old"],
  ["old\n", "old"],
  ["old\r\n", "old"],
  ["a\nb\n\n", "a\nb\n"],
  ['"old"', '"old"'],
  ["", ""],
] as const)
  test(`text as it comes: ${JSON.stringify(body)}`, async (t) => {
    const { table, store } = await open(t, { format: "text" });
    store.values.set("user1", body);
    assert.deepEqual(await table.lookup("user1"), found(value));
  });

const ABSENT = "absent";
const FAILED = "failed";
const DOWN = "failed: source";
const statuses: readonly [status: number, byDefault: string, byClass: string][] = [
  [204, FAILED, FAILED],
  [206, FAILED, FAILED],
  [302, FAILED, FAILED],
  [304, FAILED, FAILED],
  [400, FAILED, ABSENT],
  [401, DOWN, ABSENT],
  [403, DOWN, ABSENT],
  [404, ABSENT, ABSENT],
  [405, FAILED, ABSENT],
  [408, DOWN, DOWN],
  [410, ABSENT, ABSENT],
  [414, FAILED, ABSENT],
  [425, DOWN, DOWN],
  [429, DOWN, DOWN],
  [451, FAILED, ABSENT],
  [499, FAILED, ABSENT],
  [500, FAILED, FAILED],
  [502, DOWN, DOWN],
  [503, DOWN, DOWN],
  [504, DOWN, DOWN],
  [599, FAILED, FAILED],
];
for (const [status, byDefault, byClass] of statuses)
  test(`status ${status}`, async (t) => {
    const storeOptions: HttpStoreOptions = {
      onRequest: (_request, response) => void response.writeHead(status).end('"x"'),
    };
    for (const [options, want] of [
      [{}, byDefault],
      [{ absent_status: ["4xx"] }, byClass],
      [{ absent_status: [] }, byDefault === ABSENT ? FAILED : byDefault],
    ] as const) {
      const { table, store } = await open(t, options, storeOptions);
      const answer = await table.lookup("user1");
      assert.equal(answer.kind === "failed" && answer.scope === "source" ? DOWN : answer.kind, want);
      const place = want === DOWN ? store.url : `${store.origin}/map/user1`;
      if (answer.kind === "failed") assert.equal(answer.reason, `${place}: status ${status}`);
    }
  });

test("a status of its own may mean absent", async (t) => {
  const storeOptions: HttpStoreOptions = {
    onRequest: ({ key }, response) => void response.writeHead(Number(key), { location: "/map/elsewhere" }).end(),
  };
  const { table, store, said } = await open(t, { absent_status: ["204", "302", "403"] }, storeOptions);
  for (const status of ["204", "302", "403"]) assert.deepEqual(await table.lookup(status), { kind: "absent" });
  assert.equal((await table.lookup("404")).kind, "failed");
  assert.equal(store.requests.length, 4);
  assert.ok(said.every(({ level }) => level === "warning"));
});

test("credentials, headers and nothing more go with each request", async (t) => {
  const { table, store } = await open(t, {
    user: "us er",
    password: "päss:word",
    headers: { "X-Key": "k", "User-Agent": "me" },
  });
  assert.deepEqual(await table.lookup("user1"), found("old"));
  assert.deepEqual(store.requests[0]?.headers, {
    host: store.origin.slice("http://".length),
    connection: "keep-alive",
    accept: "*/*",
    "user-agent": "me",
    authorization: `Basic ${Buffer.from("us er:päss:word").toString("base64")}`,
    "x-key": "k",
  });
});

test("a bearer token and credentials in the URL go as they should", async (t) => {
  const first = await open(t, { bearer_token: "t0ken" });
  await first.table.lookup("user1");
  assert.equal(first.store.requests[0]?.headers["authorization"], "Bearer t0ken");
  const url = first.store.url.replace("http://", "http://me:s%40crit@");
  const second = openType(URL_TABLE, { url });
  t.after(() => second.table.close());
  assert.deepEqual(await second.table.lookup("user1"), found("old"));
  assert.equal(
    first.store.requests[1]?.headers["authorization"],
    `Basic ${Buffer.from("me:s@crit").toString("base64")}`,
  );
  await first.store.stop();
  const answer = await second.table.lookup("user1");
  assert.ok(answer.kind === "failed");
  assert.doesNotMatch(answer.reason, /crit|me:/);
});

test("no more connections than the pool has, and they are used again", async (t) => {
  const { table, store } = await open(t, { pool: "3" });
  for (let round = 0; round < 3; round += 1)
    await Promise.all(
      Array.from({ length: 40 }, async () => assert.equal((await table.lookup("user1")).kind, "found")),
    );
  assert.equal(await store.connections(), 3);
});
