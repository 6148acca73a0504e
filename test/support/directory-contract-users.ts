import assert from "node:assert/strict";
import fc from "fast-check";
import type { Change, Directory } from "../../src/directory/directory.ts";
import { ADMIN, directoryTests, ODD_KEYS } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";

/** Each has some thirty commits. */
const RUNS = 20;

export function testUsers(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("a user has one backend, or none", async ({ directory }) => {
    assert.equal(directory.findBackend("u"), undefined);
    assert.deepEqual(await directory.users.set("u", "old", ADMIN), { kind: "set", from: undefined });
    assert.deepEqual(directory.find("u"), { backend: "old", holds: [] });
    assert.deepEqual(await directory.users.set("u", "old", ADMIN), { kind: "unchanged" });
    assert.deepEqual(await directory.users.set("u", "new", ADMIN), { kind: "set", from: "old" });
    assert.equal(directory.findBackend("u"), "new");
    assert.deepEqual(await directory.users.unset("u", ADMIN), { kind: "unset", from: "new" });
    assert.deepEqual(await directory.users.unset("u", ADMIN), { kind: "unchanged" });
    assert.deepEqual(directory.find("u"), { backend: undefined, holds: [] });
  });

  directoryTest("every change is in the history, newest first, and nothing else is", async ({ directory, clock }) => {
    const startMs = clock.wallMs();
    await directory.users.set("u", "old", ADMIN);
    clock.advance(5);
    await directory.users.set("u", "old", { who: "someone", why: "again" });
    await directory.users.set("other", "old", ADMIN);
    await directory.users.set("u", "new", { who: "bob", why: "ticket 7" });
    await directory.users.unset("u", ADMIN);
    const history = directory.history("u");
    assert.deepEqual(
      history.map((change) => ({ ...change, id: 0 })),
      [
        { id: 0, atMs: startMs + 5, ...ADMIN, user: "u", what: "unset", from: "new", to: undefined },
        { id: 0, atMs: startMs + 5, who: "bob", why: "ticket 7", user: "u", what: "set", from: "old", to: "new" },
        { id: 0, atMs: startMs, ...ADMIN, user: "u", what: "set", from: undefined, to: "old" },
      ] satisfies Change[],
    );
    const [newest, middle, oldest] = history;
    assert.deepEqual(directory.history("u", { limit: 1 }), [newest]);
    assert.deepEqual(directory.history("u", { beforeId: newest?.id ?? 0 }), [middle, oldest]);
    assert.deepEqual(directory.history("nobody"), []);
  });

  directoryTest("odd keys are told apart, and listed in the order of their bytes", async ({ directory }) => {
    await Promise.all(ODD_KEYS.map((user, number) => directory.users.set(user, `b${number}`, ADMIN)));
    for (const [number, user] of ODD_KEYS.entries()) assert.equal(directory.findBackend(user), `b${number}`, user);
    const keys = directory.users.list().map(({ user }) => user);
    assert.deepEqual(keys, ODD_KEYS);
    for (const prefix of ["", ...ODD_KEYS, "k", "\u{10ffff}b", "zz"])
      assert.deepEqual(
        directory.users.list({ prefix }).map(({ user }) => user),
        ODD_KEYS.filter((user) => user.startsWith(prefix)),
        JSON.stringify(prefix),
      );
  });

  directoryTest("what is no name is refused, and finds nobody", async ({ directory }) => {
    await directory.users.set("\ufffd", "old", ADMIN);
    assert.deepEqual(directory.find("\ud800"), { backend: undefined, holds: [] });
    for (const name of ["", "a\0b", "\ud800", "x".repeat(1025), "\u00e4".repeat(513)]) {
      await assert.rejects(directory.users.set(name, "old", ADMIN), TypeError);
      await assert.rejects(directory.users.set("u", name, ADMIN), TypeError);
      const hold = { user: "u", owner: "a", reason: "", deadlineMs: 1 };
      await assert.rejects(directory.holds.place({ ...hold, user: name }, ADMIN), TypeError);
      await assert.rejects(directory.holds.place({ ...hold, owner: name }, ADMIN), TypeError);
    }
    assert.deepEqual(directory.users.list(), [{ user: "\ufffd", backend: "old" }]);
  });

  directoryTest("lists come in pages, by backend and by prefix", async ({ directory }) => {
    const users = Array.from({ length: 2_500 }, (_, number) => ({
      user: `${number % 2 === 0 ? "a" : "b"}${String(number).padStart(5, "0")}`,
      backend: number % 5 === 0 ? "five" : "rest",
    }));
    await directory.users.import(users, { author: ADMIN });
    const sorted = users.toSorted((a, b) => (a.user < b.user ? -1 : 1));
    const filters: readonly { backend?: string; prefix?: string }[] = [
      {},
      { backend: "five" },
      { prefix: "b" },
      { backend: "five", prefix: "b0001" },
      { prefix: "c" },
      { backend: "none" },
    ];
    for (const filter of filters) {
      const { backend, prefix = "" } = filter;
      const wanted = sorted.filter(
        (entry) => entry.user.startsWith(prefix) && (backend === undefined || entry.backend === backend),
      );
      assert.deepEqual(await Array.fromAsync(directory.users.all(filter)), wanted);
      const paged = [];
      for (let after: string | undefined; ;) {
        const page = directory.users.list({ ...filter, limit: 700, ...(after === undefined ? {} : { after }) });
        paged.push(...page);
        after = page.at(-1)?.user;
        if (page.length < 700) break;
      }
      assert.deepEqual(paged, wanted);
    }
    assert.equal(directory.users.list({ limit: 1_000_000 }).length, 1_000);
    assert.deepEqual(directory.users.list({ prefix: "b", after: "a", limit: 1 }), [
      { user: "b00001", backend: "rest" },
    ]);
    assert.deepEqual(directory.users.list({ prefix: "a", after: "b" }), []);
  });

  directoryTest("users, counts and lists are those of a simple model", async ({ directory }) => {
    const user = fc.constantFrom("u1", "u2", "u3", "u4");
    const backend = fc.constantFrom("old", "new", "third");
    const command = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), user, backend }),
      fc.record({ kind: fc.constant("unset" as const), user }),
      fc.record({ kind: fc.constant("import" as const), entries: fc.array(fc.record({ user, backend })) }),
    );
    let model = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 15 }), async (commands) => {
        for (const given of commands) {
          const before = model;
          model = new Map(model);
          if (given.kind === "import") {
            for (const entry of given.entries) model.set(entry.user, entry.backend);
            const { created, changed, unchanged } = await directory.users.import(given.entries, { author: ADMIN });
            assert.equal(created + changed + unchanged, new Set(given.entries.map((entry) => entry.user)).size);
            assert.equal(created, model.size - before.size);
          } else {
            if (given.kind === "set") model.set(given.user, given.backend);
            else model.delete(given.user);
            const result =
              given.kind === "set"
                ? await directory.users.set(given.user, given.backend, ADMIN)
                : await directory.users.unset(given.user, ADMIN);
            const isChanged = before.get(given.user) !== model.get(given.user);
            assert.equal(result.kind, isChanged ? given.kind : "unchanged");
          }
          assertIs(directory, model);
        }
      }),
      { numRuns: RUNS },
    );
  });
}

function assertIs(directory: Directory, model: ReadonlyMap<string, string>): void {
  const entries = sortedByKey(model).map(([user, backend]) => ({ user, backend }));
  assert.deepEqual(directory.users.list(), entries);
  const counts = new Map<string, number>();
  for (const { user, backend } of entries) {
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
    assert.equal(directory.findBackend(user), backend);
    assert.equal(directory.history(user, { limit: 1 })[0]?.to, backend);
  }
  assert.deepEqual([...directory.users.countByBackend()], sortedByKey(counts));
  for (const backend of counts.keys())
    assert.deepEqual(
      directory.users.list({ backend }),
      entries.filter((entry) => entry.backend === backend),
    );
}

function sortedByKey<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
