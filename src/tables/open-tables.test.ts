import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import type { FakeClock } from "../../test/support/fake-clock.ts";
import { composite, scripted, scriptedType, typesWith } from "../../test/support/scripted-type.ts";
import { openTables } from "./open-tables.ts";
import type { TableSet, TableSettings } from "./open-tables.ts";
import { DEFAULT_GUARD } from "./options.ts";
import type { CacheOptions, KeyRules } from "./options.ts";
import { DONE, found } from "./table.ts";
import type { Answer, Change, WriteOutcome } from "./table.ts";

/** What the test's sources have, by their id. They share it when they are opened anew. */
interface Store {
  readonly entries: Map<string, string>;
  /** Keys that were looked up. */
  readonly asked: string[];
  /** Lookups wait until the test answers them. */
  isLate: boolean;
  /** So do writes. */
  writesLate: boolean;
  readonly waiting: (() => void)[];
  failsToOpen: boolean;
}

interface Bench {
  readonly clock: FakeClock;
  readonly said: string[];
  /** `open ID` and `close ID`, in order. */
  readonly events: string[];
  store(id: string): Store;
  open(configured: Readonly<Record<string, TableSettings>>, previous?: TableSet): TableSet;
}

function start(): Bench {
  const clock = createFakeClock();
  const said: string[] = [];
  const events: string[] = [];
  const stores = new Map<string, Store>();

  function store(id: string): Store {
    const known = stores.get(id) ?? {
      entries: new Map(),
      asked: [],
      isLate: false,
      writesLate: false,
      waiting: [],
      failsToOpen: false,
    };
    stores.set(id, known);
    return known;
  }

  const open = (id: string): ReturnType<Parameters<typeof scriptedType>[1]> => {
    const own = store(id);
    events.push(`open ${id}`);
    if (own.failsToOpen) throw new Error("no such database");
    const answer = (key: string): Answer => {
      const value = own.entries.get(key);
      return found(value === undefined ? [] : [value]);
    };
    return {
      lookup(key) {
        own.asked.push(key);
        if (!own.isLate) return answer(key);
        // As a database does: it is read when it is asked, and the answer takes its time.
        const read = answer(key);
        return new Promise((resolve) => own.waiting.push(() => resolve(read)));
      },
      async write(changes: readonly Change[]): Promise<WriteOutcome> {
        if (own.writesLate) await new Promise<void>((resolve) => own.waiting.push(resolve));
        for (const change of changes) if (change.kind === "set") own.entries.set(change.key, change.value);
        return DONE;
      },
      close: () => void events.push(`close ${id}`),
    };
  };
  const types = typesWith({ remote: scriptedType("remote", open), memory: scriptedType("memory", open) });
  return {
    clock,
    said,
    events,
    store,
    open: (configured, previous) =>
      openTables(
        new Map(Object.entries(configured)),
        { clock, types, say: (level, text) => void said.push(`${level} ${text}`) },
        previous,
      ),
  };
}

const GUARD = { guard: DEFAULT_GUARD };
const CACHE: CacheOptions = { ttlMs: 60_000, absentTtlMs: 60_000, staleIfFailedMs: 0, maxEntries: 100 };
const KEY: KeyRules = { fold: "all", recipientDelimiter: "", forms: ["address", "localpart"] };
const FOUND = (value: string): Answer => ({ kind: "found", value });
const ABSENT: Answer = { kind: "absent" };

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const ask = async (tables: TableSet, name: string, key: string): Promise<Answer | undefined> =>
  tables.ruled.get(name)?.lookup(key);
const set = (tables: TableSet, name: string, key: string, value: string): Promise<WriteOutcome> | undefined =>
  tables.exact.get(name)?.write?.([{ kind: "set", key, value }]);

test("a remote source whose settings did not change goes on over a reload", async () => {
  const bench = start();
  const before = { kept: scripted("remote", "a", GUARD), dropped: scripted("remote", "b", GUARD) };
  const first = bench.open(before);
  const second = bench.open({ kept: structuredClone(before.kept), added: scripted("remote", "c", GUARD) }, first);
  await first.close(second);
  assert.deepEqual(bench.events, ["open a", "open b", "open c", "close b"]);
  bench.store("a").entries.set("k", "v");
  assert.deepEqual(await ask(second, "kept", "k"), FOUND("v"));
  await second.close();
  assert.deepEqual(bench.events.slice(4).sort(), ["close a", "close c"]);
});

for (const [what, changed, isKept] of [
  ["its options", scripted("remote", "other", GUARD), false],
  ["its type", scripted("memory", "a", GUARD), false],
  ["its guard", scripted("remote", "a", { guard: { ...DEFAULT_GUARD, timeoutMs: 1 } }), false],
  ["its key rules", scripted("remote", "a", { ...GUARD, key: KEY }), true],
  ["its value rules", scripted("remote", "a", { ...GUARD, value: { jsonPath: undefined, template: "x" } }), true],
  ["its cache", scripted("remote", "a", { ...GUARD, cache: CACHE }), true],
] as const)
  test(`a source is ${isKept ? "kept" : "opened anew"} when a reload changes ${what}`, async () => {
    const bench = start();
    const first = bench.open({ users: scripted("remote", "a", GUARD) });
    const second = bench.open({ users: changed }, first);
    await first.close(second);
    assert.equal(bench.events.length, isKept ? 1 : 3);
  });

test("a memory source is opened anew by every reload", async () => {
  const bench = start();
  const configured = { users: scripted("memory", "a") };
  const first = bench.open(configured);
  await first.close(bench.open(configured, first));
  assert.deepEqual(bench.events, ["open a", "open a", "close a"]);
});

test("a source that is dropped closes when nothing is under way any more", async () => {
  const bench = start();
  bench.store("a").isLate = true;
  const first = bench.open({ users: scripted("remote", "a", GUARD) });
  const answer = ask(first, "users", "k");
  const closed = first.close(bench.open({}, first));
  await settle();
  assert.deepEqual(bench.events, ["open a"]);
  bench.store("a").waiting[0]?.();
  assert.deepEqual(await answer, ABSENT);
  await closed;
  assert.deepEqual(bench.events, ["open a", "close a"]);
});

test("who asks one table after the other finds the next one open", async () => {
  const bench = start();
  bench.store("a").isLate = true;
  bench.store("b").entries.set("k", "v");
  const first = bench.open({
    a: scripted("remote", "a", GUARD),
    b: scripted("remote", "b", GUARD),
    both: composite("first", ["a", "b"]),
  });
  const answer = ask(first, "both", "k");
  await settle();
  const closed = first.close(bench.open({}, first));
  await settle();
  assert.deepEqual(bench.events, ["open a", "open b"]);
  bench.store("a").waiting[0]?.();
  assert.deepEqual(await answer, FOUND("v"));
  await closed;
  assert.deepEqual(bench.events.slice(2).sort(), ["close a", "close b"]);
});

test("what a breaker knows outlives a reload", async () => {
  const bench = start();
  const configured = { users: scripted("remote", "a", { guard: { ...DEFAULT_GUARD, timeoutMs: 10 } }) };
  bench.store("a").isLate = true;
  const first = bench.open(configured);
  for (let at = 0; at < 5; at += 1) {
    const answer = ask(first, "users", "k");
    await settle();
    bench.clock.advance(10);
    assert.equal((await answer)?.kind, "failed");
  }
  const second = bench.open(configured, first);
  const answer = await ask(second, "users", "k");
  assert.ok(answer?.kind === "failed" && answer.reason.startsWith("the source is down"));
});

test("caches are empty after a reload", async () => {
  const bench = start();
  const configured = { users: scripted("remote", "a", { ...GUARD, cache: CACHE }) };
  const first = bench.open(configured);
  assert.deepEqual(await ask(first, "users", "k"), ABSENT);
  bench.store("a").entries.set("k", "new");
  assert.deepEqual(await ask(first, "users", "k"), ABSENT);
  assert.deepEqual(await ask(bench.open(configured, first), "users", "k"), FOUND("new"));
});

test("key rules count for listeners and commands, and not for the router", async () => {
  const bench = start();
  bench.store("a").entries.set("user1", "v");
  const tables = bench.open({ users: scripted("remote", "a", { ...GUARD, key: KEY }) });
  assert.deepEqual(await tables.ruled.get("users")?.lookup("User1@x"), FOUND("v"));
  assert.deepEqual(await tables.exact.get("users")?.lookup("User1@x"), ABSENT);
  assert.deepEqual(bench.store("a").asked, ["user1@x", "user1", "User1@x"]);
});

test("a composite asks its members with or without their rules, as it is asked itself", async () => {
  const bench = start();
  bench.store("a").entries.set("user1", "v");
  const tables = bench.open({
    users: scripted("remote", "a", { ...GUARD, key: KEY }),
    all: composite("first", ["users"]),
  });
  assert.deepEqual(await tables.ruled.get("all")?.lookup("User1@x"), FOUND("v"));
  assert.deepEqual(await tables.exact.get("all")?.lookup("User1@x"), ABSENT);
});

test("value rules are made of what the cache has, with the key that was asked", async () => {
  const bench = start();
  bench.store("a").entries.set("user1", '{"host":"old"}');
  const value = { jsonPath: ["host"], template: "{localpart}@{value}" };
  const tables = bench.open({ users: scripted("remote", "a", { ...GUARD, cache: CACHE, value }) });
  for (let at = 0; at < 2; at += 1) assert.deepEqual(await ask(tables, "users", "user1"), FOUND("user1@old"));
  assert.deepEqual(bench.store("a").asked, ["user1"]);
});

const CACHED = { ...GUARD, cache: CACHE };
const NESTED = {
  users: scripted("remote", "a", CACHED),
  other: scripted("remote", "b", CACHED),
  inner: composite("first", ["other", "users"], { cache: CACHE }),
  outer: composite("union", ["inner", "users"], { cache: CACHE }),
  far: composite("first", ["inner"], { cache: CACHE }),
};

test("what is written is seen at once, through every table that asks it", async () => {
  const bench = start();
  // In either order of opening.
  for (const configured of [NESTED, Object.fromEntries(Object.entries(NESTED).reverse())]) {
    bench.store("a").entries.set("k", "old");
    const tables = bench.open(configured);
    for (const name of Object.keys(NESTED))
      for (const face of [tables.exact, tables.ruled])
        assert.deepEqual(await face.get(name)?.lookup("k"), name === "other" ? ABSENT : FOUND("old"));
    assert.deepEqual(await set(tables, "users", "k", "new"), DONE);
    for (const name of Object.keys(NESTED))
      for (const face of [tables.exact, tables.ruled])
        assert.deepEqual(await face.get(name)?.lookup("k"), name === "other" ? ABSENT : FOUND("new"), name);
  }
});

test("a write forgets its keys alone, in its own table", async () => {
  const bench = start();
  const tables = bench.open(NESTED);
  for (const key of ["k", "other"]) await ask(tables, "users", key);
  bench.store("a").asked.length = 0;
  await set(tables, "users", "k", "new");
  for (const key of ["k", "other"]) await ask(tables, "users", key);
  assert.deepEqual(bench.store("a").asked, ["k"]);
});

test("an answer that was under way while it was written is not kept", async () => {
  const bench = start();
  bench.store("a").entries.set("k", "old");
  bench.store("a").isLate = true;
  const tables = bench.open(NESTED);
  const early = ["users", "inner", "outer"].map((name) => ask(tables, name, "k"));
  await settle();
  await set(tables, "users", "k", "new");
  for (let turn = 0; turn < 10; turn += 1) {
    for (const answer of bench.store("a").waiting.splice(0)) answer();
    await settle();
  }
  await Promise.all(early);
  bench.store("a").isLate = false;
  for (const name of ["users", "inner", "outer"]) assert.deepEqual(await ask(tables, name, "k"), FOUND("new"), name);
});

test("what was asked for while it was written is not kept either", async () => {
  const bench = start();
  bench.store("a").entries.set("k", "old");
  bench.store("a").writesLate = true;
  const tables = bench.open(NESTED);
  const written = set(tables, "users", "k", "new");
  for (const name of Object.keys(NESTED)) await ask(tables, name, "k");
  bench.store("a").waiting[0]?.();
  assert.deepEqual(await written, DONE);
  for (const name of ["users", "inner", "outer", "far"])
    assert.deepEqual(await ask(tables, name, "k"), FOUND("new"), name);
});

test("flush forgets everything", async () => {
  const bench = start();
  const tables = bench.open(NESTED);
  await ask(tables, "users", "k");
  bench.store("a").entries.set("k", "new");
  tables.exact.get("users")?.flush?.();
  assert.deepEqual(await ask(tables, "users", "k"), FOUND("new"));
});

test("a key is forgotten in its table and in those that ask it, and no other key", async () => {
  const bench = start();
  const tables = bench.open(NESTED);
  for (const name of Object.keys(NESTED)) for (const key of ["k", "other"]) await ask(tables, name, key);
  for (const key of ["k", "other"]) bench.store("a").entries.set(key, "new");
  tables.forget("users", "k");
  tables.forget("nobody", "k");
  for (const name of ["users", "inner", "outer", "far"])
    assert.deepEqual(await ask(tables, name, "k"), FOUND("new"), name);
  assert.deepEqual(await ask(tables, "users", "other"), ABSENT);
});

test("deliveries that still go by an older configuration see what is forgotten, too", async () => {
  const bench = start();
  const sets = [bench.open(NESTED)];
  for (let at = 0; at < 2; at += 1) sets.push(bench.open(NESTED, sets.at(-1)));
  const [first, second, third] = sets;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const asked = (): Promise<unknown[]> => Promise.all(sets.map((tables) => ask(tables, "users", "k")));
  await asked();
  bench.store("a").entries.set("k", "new");
  third.forget("users", "k");
  assert.deepEqual(await asked(), [FOUND("new"), FOUND("new"), FOUND("new")]);
  await first.close(second);
  await second.close(third);
  bench.store("a").entries.set("k", "newer");
  third.forget("users", "k");
  assert.deepEqual(await asked(), [FOUND("new"), FOUND("new"), FOUND("newer")]);
});

test("sets of tables that nobody asks any more leave the memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const bench = start();
  const left: WeakRef<TableSet>[] = [];
  let current = bench.open(NESTED);
  for (let at = 0; at < 10; at += 1) {
    const next = bench.open(NESTED, current);
    await current.close(next);
    left.push(new WeakRef(current));
    current = next;
  }
  for (let turn = 0; turn < 50 && left.some((set) => set.deref() !== undefined); turn += 1) {
    await settle();
    collect();
  }
  assert.equal(left.filter((set) => set.deref() !== undefined).length, 0);
  assert.deepEqual(await ask(current, "users", "k"), ABSENT);
});

test("what the source says now is asked past the cache, by the value rules, and leaves the cache alone", async () => {
  const bench = start();
  bench.store("a").entries.set("k", '{"host":"old"}');
  const value = { jsonPath: ["host"], template: undefined };
  const tables = bench.open({
    users: scripted("remote", "a", { ...CACHED, value }),
    bare: scripted("remote", "b", GUARD),
  });
  const users = tables.exact.get("users");
  assert.deepEqual(await users?.lookup("k"), FOUND("old"));
  bench.store("a").entries.set("k", '{"host":"new"}');
  assert.deepEqual(await users?.lookupPastCache?.("k"), FOUND("new"));
  assert.deepEqual(await users?.lookup("k"), FOUND("old"));
  assert.equal(tables.exact.get("bare")?.lookupPastCache, undefined);
});

test("a table that cannot be opened answers failed, says why, and is tried again by the next reload", async () => {
  const bench = start();
  bench.store("a").failsToOpen = true;
  const configured = {
    users: scripted("remote", "a", GUARD),
    all: composite("first", ["users"]),
  };
  const first = bench.open(configured);
  const failed: Answer = {
    kind: "failed",
    reason: "the table could not be opened: no such database",
    scope: "source",
  };
  assert.deepEqual(await ask(first, "users", "k"), failed);
  assert.deepEqual(await ask(first, "all", "k"), failed);
  assert.equal(bench.said[0], "error table users: it cannot be opened, so lookups fail: no such database");
  bench.store("a").failsToOpen = false;
  const second = bench.open(configured, first);
  assert.deepEqual(await ask(second, "users", "k"), ABSENT);
});

test("a table of an unknown type is our mistake", () => {
  assert.throws(() => start().open({ users: scripted("nothing", "a") }), /unregistered type nothing/);
});
