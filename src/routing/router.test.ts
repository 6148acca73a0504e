import assert from "node:assert/strict";
import { test } from "node:test";
import { ABSENT, type Answer } from "../tables/table.ts";
import { lowercaseDomain, parseAddress, recipientOf, userKeys } from "./address.ts";
import { createRouter, type DirectoryEntry, type RouterQuestion } from "./router.ts";

const addresses = [
  { path: "User@Example.com", localPart: "User", domain: "Example.com" },
  { path: "postmaster", localPart: "postmaster", domain: undefined },
  { path: '"a@b"@c', localPart: "a@b", domain: "c" },
  { path: '"q\\"x y"@c', localPart: 'q"x y', domain: "c" },
  { path: '"alone"', localPart: "alone", domain: undefined },
  { path: "a@[IPv6:::1]", localPart: "a", domain: "[IPv6:::1]" },
  { path: "us\xc3\xa9r@b\xc3\xbc.example", localPart: "us\u00e9r", domain: "b\u00fc.example" },
  { path: "use\xcc\x81r@x", localPart: "us\u00e9r", domain: "x" },
] as const;
for (const { path, localPart, domain } of addresses)
  test(`address ${path}`, () => assert.deepEqual(parseAddress(path), { localPart, domain }));

const keys = [
  { path: "user1@x", key: "localpart", user: "user1", asked: ["user1"] },
  { path: "User1@X.Example", key: "localpart", user: "user1", asked: ["User1", "user1"] },
  { path: "User1+Ext@x", key: "localpart", user: "user1", asked: ["User1+Ext", "user1+ext", "User1", "user1"] },
  { path: "user1+a+b@x", key: "localpart", user: "user1", asked: ["user1+a+b", "user1"] },
  { path: "+ext@x", key: "localpart", user: "+ext", asked: ["+ext"] },
  { path: "user1-ext@x", key: "localpart", user: "user1-ext", asked: ["user1-ext"] },
  { path: "u+e@X.y", key: "address", user: "u@x.y", asked: ["u+e@X.y", "u+e@x.y", "u@X.y", "u@x.y"] },
  { path: "Postmaster", key: "address", user: "postmaster", asked: ["Postmaster", "postmaster"] },
  { path: '"user1"@x', key: "localpart", user: "user1", asked: ["user1"] },
] as const;
for (const { path, key, user, asked } of keys)
  test(`keys of ${path} by ${key}`, () =>
    assert.deepEqual(userKeys(parseAddress(path), { key, recipientDelimiter: "+" }), {
      userKey: user,
      tableKeys: asked,
    }));

for (const { user, key, recipient } of [
  { user: "u", key: "localpart", recipient: "u" },
  { user: "u@x", key: "address", recipient: "u@x" },
  { user: "a@b", key: "localpart", recipient: '"a@b"' },
  { user: "a@b@x", key: "address", recipient: "a@b@x" },
  { user: '"a"@x', key: "address", recipient: '"\\"a\\""@x' },
  { user: 'q\\"', key: "localpart", recipient: 'q\\"' },
  { user: '"q"', key: "localpart", recipient: '"\\"q\\""' },
  { user: "us\u00e9r", key: "localpart", recipient: "us\xc3\xa9r" },
  { user: "u+x", key: "localpart", recipient: undefined },
  { user: "U", key: "localpart", recipient: undefined },
] as const)
  test(`a recipient whose key by ${key} is ${user}`, () => {
    const options = { key, recipientDelimiter: "+" };
    assert.equal(recipientOf(user, options), recipient);
    if (recipient !== undefined) assert.equal(userKeys(parseAddress(recipient), options).userKey, user);
  });

test("only the domain is lowered for a store, byte for byte", () => {
  assert.equal(lowercaseDomain("User@EXAMPLE.Com"), "User@example.com");
  assert.equal(lowercaseDomain("User"), "User");
  assert.equal(lowercaseDomain('"A@B"'), '"A@B"');
  assert.equal(lowercaseDomain('"A@B"@C'), '"A@B"@c');
  assert.equal(lowercaseDomain("a@B\xc3\x9c.X"), "a@b\xc3\x9c.x");
});

function routerOf(
  tables: Record<string, Record<string, string> | (() => Answer | Promise<Answer>)>,
  fallback?: string,
  authority?: string,
) {
  const opened = Object.entries(tables).map(([name, source]) => {
    const lookup = (key: string): Answer | Promise<Answer> => {
      if (typeof source === "function") return source();
      const value = source[key];
      return value === undefined ? ABSENT : { kind: "found", value };
    };
    return [name, { name, lookup }] as const;
  });
  return createRouter({
    options: {
      key: "localpart",
      recipientDelimiter: "+",
      tables: Object.keys(tables),
      unknown: "defer",
      ...(authority === undefined ? {} : { authority }),
      ...(fallback === undefined ? {} : { fallback }),
    },
    tables: new Map(opened),
    hasBackend: (name) => name === "old" || name === "new",
  });
}

test("tables are asked in order, each with every key, and the first that has it decides", async () => {
  const router = routerOf({ first: { u: "old" }, second: { "u+x": "new" } });
  const asked: RouterQuestion[] = [];
  const route = await router.route("u+x@d", (question) => asked.push(question));
  assert.deepEqual(route, {
    kind: "deliver",
    backend: "old",
    userKey: "u",
    source: { kind: "table", table: "first", key: "u" },
  });
  assert.deepEqual(
    asked.map(({ table, key }) => `${table} ${key}`),
    ["first u+x", "first u"],
  );
});

test("the table that moves write is asked for the user key first, the others are not", async () => {
  const rows = { u: "new", "u+x": "old", U: "old" };
  for (const [authority, backend] of [
    ["second", "new"],
    ["third", "old"],
    [undefined, "old"],
  ] as const) {
    const router = routerOf({ first: {}, second: rows, third: {} }, undefined, authority);
    for (const recipient of ["u+x@d", "U@d", "U+x@d"]) {
      const asked: string[] = [];
      const route = await router.route(recipient, ({ table, key }) => asked.push(`${table} ${key}`));
      const isFirst = authority === "second";
      assert.equal(route.kind === "deliver" && route.backend, recipient === "U+x@d" && !isFirst ? "old" : backend);
      if (isFirst) assert.equal(asked.at(-1), "second u");
      assert.notEqual(asked[0], "first u");
    }
  }
  const others = routerOf({ second: { U: "old" } }, undefined, "second");
  const asked: string[] = [];
  await others.route("U+x@d", ({ key }) => asked.push(key));
  assert.deepEqual(asked, ["u", "U+x", "u+x", "U"]);
});

test("absent everywhere: fallback, else unknown", async () => {
  assert.equal((await routerOf({ t: {} }, "new").route("u@d")).kind, "deliver");
  assert.equal((await routerOf({ t: {} }, "hold").route("u@d")).kind, "hold");
  assert.deepEqual(await routerOf({ t: {} }).route("u@d"), { kind: "unknown", userKey: "u", answer: "defer" });
});

for (const isAsync of [false, true])
  test(`a failed table ends the search${isAsync ? ", later too" : ""}`, async () => {
    const failed: Answer = { kind: "failed", reason: "down" };
    const router = routerOf({ t: () => (isAsync ? Promise.resolve(failed) : failed), u: { u: "new" } }, "old");
    assert.equal((await router.route("u@d")).kind, "failed");
  });

test("memory answers in the same turn, a promise goes on where it left off", async () => {
  const inTurn = routerOf({ t: { u: "new" } }).route("u@d");
  assert.ok(!(inTurn instanceof Promise));
  const later = await routerOf({ t: () => Promise.resolve(ABSENT), u: { u: "new" } }).route("u@d");
  assert.equal(later.kind === "deliver" && later.backend, "new");
});

test("holds come before the directory's entry, that before the tables, and what fails ends the search", () => {
  const entries: Readonly<Record<string, DirectoryEntry>> = {
    held: { backend: "new", holds: [{ owner: "admin", reason: "moving" }] },
    moved: { backend: "new", holds: [] },
    lost: { backend: "gone", holds: [] },
    word: { backend: "refuse", holds: [] },
  };
  const router = createRouter({
    directory: {
      find(user) {
        if (user === "broken") throw new Error("disk I/O error");
        return entries[user] ?? { backend: undefined, holds: [] };
      },
    },
    options: { key: "localpart", recipientDelimiter: "+", tables: ["users"], unknown: "defer" },
    tables: new Map([["users", { name: "users", lookup: (): Answer => ({ kind: "found", value: "old" }) }]]),
    hasBackend: (name) => name === "old" || name === "new",
  });
  const routeOf = (user: string): unknown => router.route(`${user}@example.com`);
  assert.deepEqual(routeOf("Held+x"), {
    kind: "hold",
    userKey: "held",
    source: { kind: "hold", owner: "admin", reason: "moving" },
  });
  assert.deepEqual(routeOf("moved"), {
    kind: "deliver",
    userKey: "moved",
    backend: "new",
    source: { kind: "directory" },
  });
  assert.deepEqual(routeOf("other"), {
    kind: "deliver",
    userKey: "other",
    backend: "old",
    source: { kind: "table", table: "users", key: "other" },
  });
  const source = { kind: "directory" };
  assert.deepEqual(routeOf("lost"), { kind: "failed", userKey: "lost", source, reason: 'there is no backend "gone"' });
  assert.deepEqual(routeOf("word"), {
    kind: "failed",
    userKey: "word",
    source,
    reason: 'there is no backend "refuse"',
  });
  assert.deepEqual(routeOf("broken"), {
    kind: "failed",
    userKey: "broken",
    source,
    reason: "directory: disk I/O error",
  });
});
