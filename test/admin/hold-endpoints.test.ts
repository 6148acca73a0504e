import assert from "node:assert/strict";
import { test } from "node:test";
import { DirectoryFailed } from "../../src/directory/directory-failed.ts";
import type { DirectoryFaultCode } from "../../src/directory/directory-failed.ts";
import { ADMIN, newDelivery, query, startApi } from "./api.ts";

const detailOf = (json: unknown): string => (json as { detail: string }).detail;

test("a hold with nothing under way is drained at once", async (t) => {
  const { ask, directory, clock } = await startApi(t);
  await directory.users.set("ada", "old", ADMIN);
  const { json } = await ask("POST", "/v1/holds", {
    body: { user: "ada", reason: "final copy", deadline_ms: 60_000, owner: "weekend" },
  });
  const [hold] = directory.findHolds("ada");
  assert.deepEqual(json, {
    hold: {
      user: "ada",
      owner: "weekend",
      reason: "final copy",
      since: "2027-01-15T08:00:00.000Z",
      deadline: "2027-01-15T08:01:00.000Z",
      age_ms: 0,
      generation: hold?.generation,
    },
    drain: { outcome: "drained", waited_for: 0, cut: 0, settled_ms: 0 },
  });
  assert.equal(hold?.deadlineMs, clock.wallMs() + 60_000);
  assert.deepEqual(
    directory.history("ada").map(({ what, to, who, why }) => [what, to, who, why]),
    [
      ["hold", "weekend", "admin", "final copy"],
      ["set", "old", "test", ""],
    ],
  );
});

test("whoever holds a name that nobody has is asked whether it is the name", async (t) => {
  const warningOf = async (routing: { fallback?: string }, user: string, entries: readonly string[] = []) => {
    const { ask, directory } = await startApi(t, { routing });
    for (const entry of entries) await directory.users.set(entry, "old", ADMIN);
    return ((await ask("POST", "/v1/holds", { body: { user } })).json as { warning?: string }).warning;
  };
  const nobody = "no table knows this user, and the directory has no entry";
  const others = "no table knows this user, and the directory, which has others, has no entry: the fallback counts";
  assert.equal(await warningOf({}, "ada"), nobody);
  assert.equal(await warningOf({}, "ada", ["ada"]), undefined);
  assert.equal(await warningOf({}, "tim"), undefined);
  assert.equal(await warningOf({ fallback: "old" }, "ada"), undefined);
  assert.equal(await warningOf({ fallback: "old" }, "ada", ["bob"]), others);
});

test("a hold answers when what was under way has ended, and counts what it cut", async (t) => {
  const { ask, clock, deliveries } = await startApi(t);
  const slow = newDelivery("ada", clock);
  const early = newDelivery("ada", clock, { stage: "message" });
  for (const delivery of [slow, early, newDelivery("bob", clock)]) deliveries.add(delivery);
  let isAnswered = false;
  const asked = ask("POST", "/v1/holds", { body: { user: "ada" } }).finally(() => (isAnswered = true));
  while (clock.pendingTimers < 3) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(5_000);
  assert.deepEqual([early.cuts.length, slow.cuts.length], [1, 0]);
  deliveries.remove(early);
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isAnswered, false);
  deliveries.remove(slow);
  const { json } = await asked;
  assert.deepEqual((json as { drain: unknown }).drain, { outcome: "drained", waited_for: 2, cut: 1, settled_ms: 0 });
});

test("a hold whose time is over names what is left: session, backend, stage and age", async (t) => {
  const { ask, clock, deliveries } = await startApi(t);
  clock.advance(1_000);
  deliveries.add(newDelivery("ada", clock));
  clock.advance(2_000);
  const asked = ask("POST", "/v1/holds", { body: { user: "ada" } });
  while (clock.pendingTimers < 3) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(600_000);
  assert.deepEqual(((await asked).json as { drain: unknown }).drain, {
    outcome: "under-way",
    left: [{ user: "ada", session: "SESSION1", backend: "old", stage: "dot", age_ms: 602_000 }],
  });
});

test("an uncertain delivery that settles too late is told with its end", async (t) => {
  const { ask, clock, deliveries, keeper } = await startApi(t);
  const slow = newDelivery("ada", clock);
  deliveries.add(slow);
  const asked = ask("POST", "/v1/holds", { body: { user: "ada" } });
  while (clock.pendingTimers < 3) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(599_000);
  await keeper.onUncertain(slow);
  deliveries.remove(slow);
  assert.deepEqual(((await asked).json as { drain: unknown }).drain, {
    outcome: "uncertain",
    until: "2027-01-15T08:10:59.000Z",
    why: "a delivery to old had no answer",
  });
});

test("when the daemon stops, who waits for a drain is told; the user stays held", async (t) => {
  const { ask, clock, deliveries, directory, stopping, bugs } = await startApi(t);
  const slow = newDelivery("ada", clock);
  deliveries.add(slow);
  const asked = ask("POST", "/v1/holds", { body: { user: "ada" } });
  while (clock.pendingTimers < 3) await new Promise((resolve) => setImmediate(resolve));
  stopping.abort();
  const { status, json } = await asked;
  assert.deepEqual([status, (json as { title: string }).title], [503, "Stopping"]);
  assert.match(detailOf(json), /^the daemon stops: ada may be held, but is not known to be drained; hold again$/);
  assert.equal(directory.findHolds("ada").length, 1);
  deliveries.remove(slow);
  assert.deepEqual(bugs, []);
});

test("holds nest by owner, and the last release wakes the user's mail", async (t) => {
  const { ask, released } = await startApi(t);
  for (const owner of ["a", "b"]) await ask("POST", "/v1/holds", { body: { user: "ada", owner } });
  const release = async (owner: string): Promise<unknown> =>
    (await ask("DELETE", query("/v1/holds", { user: "Ada@x", owner }))).json;
  assert.deepEqual(await release("c"), { user: "ada", released: false, still_held: true });
  assert.deepEqual(await release("a"), { user: "ada", released: true, still_held: true });
  assert.deepEqual(released, []);
  assert.deepEqual(await release("b"), { user: "ada", released: true, still_held: false });
  assert.deepEqual(released, ["ada"]);
  assert.deepEqual(await release("b"), { user: "ada", released: false, still_held: false });
});

test("holds are listed in pages without gaps, and status counts more than a page", async (t) => {
  const { ask, directory, clock } = await startApi(t);
  const users = Array.from({ length: 1003 }, (_, at) => `u${at}`);
  await Promise.all(
    users.map((user) =>
      directory.holds.place({ user, owner: "a", reason: "", deadlineMs: clock.wallMs() + 1e6 }, ADMIN),
    ),
  );
  const found: string[] = [];
  let after: number | undefined;
  do {
    const path = query("/v1/holds", { limit: "250", ...(after === undefined ? {} : { after: String(after) }) });
    const page = (await ask("GET", path)).json as { holds: { user: string }[]; next?: number };
    found.push(...page.holds.map(({ user }) => user));
    after = page.next;
  } while (after !== undefined);
  assert.deepEqual(found, users);
  assert.equal(((await ask("GET", "/v1/status")).json as { holds: number }).holds, 1003);
});

test("what would break a reply or a clock is refused before anybody is held", async (t) => {
  const { ask, directory, bugs } = await startApi(t);
  const cases = [
    [{ reason: "x\r\n250 2.0.0 ok" }, "/reason: has a character that cannot be shown"],
    [{ reason: "\u001b[2J" }, "/reason: has a character that cannot be shown"],
    [{ reason: "x".repeat(201) }, "/reason: has more than 200 characters"],
    [{ deadline_ms: 999 }, "/deadline_ms"],
    [{ deadline_ms: 1500.5 }, "/deadline_ms"],
    [{ deadline_ms: 1e300 }, "/deadline_ms"],
    [{ deadline_ms: "10m" }, "/deadline_ms"],
    [{ owner: "" }, "/owner: is empty"],
    [{ owner: "move:1" }, "/owner: move:… are moves themselves"],
    [{ who: "move:1" }, "/who: move:… are moves themselves"],
    [{ unknown: 1 }, "/unknown"],
  ] as const;
  for (const [more, detail] of cases) {
    const refused = await ask("POST", "/v1/holds", { body: { user: "ada", ...more } });
    assert.equal(refused.status, 422, detail);
    assert.ok(detailOf(refused.json).startsWith(`body ${detail}`), detailOf(refused.json));
  }
  assert.deepEqual(directory.findHolds("ada"), []);
  assert.deepEqual(bugs, []);
});

for (const code of [
  "DIRECTORY_BUSY",
  "DIRECTORY_FULL",
  "DIRECTORY_OUTCOME_UNKNOWN",
] as const satisfies DirectoryFaultCode[])
  test(`a directory that fails with ${code} is 503, says so, and nobody is told he is held`, async (t) => {
    const fail = (): never => {
      throw new DirectoryFailed(code, "the directory /d is in trouble");
    };
    // oxlint-disable-next-line require-yield
    async function* failLater(): AsyncGenerator<never> {
      await Promise.resolve();
      fail();
    }
    const reject = (): Promise<never> => Promise.resolve().then(fail);
    const { ask, bugs, directory } = await startApi(t, {
      wrap: (real) => ({
        ...real,
        find: fail,
        findBackend: fail,
        users: { ...real.users, list: fail, set: () => reject(), unset: () => reject(), all: failLater },
        holds: { ...real.holds, list: fail, place: () => reject(), release: () => reject() },
        history: fail,
      }),
    });
    const detail =
      code === "DIRECTORY_OUTCOME_UNKNOWN"
        ? "the directory /d is in trouble; it may have been made: look, or do it once more"
        : "the directory /d is in trouble";
    for (const [method, path, body] of [
      ["GET", "/v1/users", undefined],
      ["GET", "/v1/users/export", undefined],
      ["GET", "/v1/user?user=a", undefined],
      ["GET", "/v1/history?user=a", undefined],
      ["GET", "/v1/holds", undefined],
      ["GET", "/v1/status", undefined],
      ["PUT", "/v1/user", { user: "a", backend: "old" }],
      ["DELETE", "/v1/user?user=a", undefined],
      ["POST", "/v1/holds", { user: "a" }],
      ["DELETE", "/v1/holds?user=a", undefined],
    ] as const) {
      const refused = await ask(method, path, { body });
      assert.deepEqual(refused.json, { title: "Directory failed", status: 503, detail, code }, `${method} ${path}`);
    }
    assert.deepEqual(bugs, []);
    assert.deepEqual(directory.findHolds("a"), []);
  });
