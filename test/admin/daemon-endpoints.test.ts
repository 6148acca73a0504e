import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointsOf } from "../../src/admin/app.ts";
import { DirectoryFailed } from "../../src/directory/directory-failed.ts";
import { newMove } from "../support/directory-contract-parts.ts";
import { newDelivery, query, startApi } from "./api.ts";
import type { Answered, RawBody } from "./api.ts";

const errorsOf = (json: unknown): readonly unknown[] => (json as { errors: unknown[] }).errors;

test("every path of the OpenAPI document is routed, and every route is documented", async (t) => {
  const { ask, services, stopping } = await startApi(t);
  const { json } = await ask("GET", "/openapi.json");
  const document = json as {
    openapi: string;
    info: { version: string };
    paths: Record<string, Record<string, { operationId: string; responses: object }>>;
  };
  assert.equal(document.openapi, "3.1.0");
  assert.equal(document.info.version, "1.2.3");
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  const routed = endpointsOf(services, { stopping: stopping.signal, onBug: () => undefined }).map(
    ({ method, path }) => `${method} ${path}`,
  );
  assert.deepEqual(documented.toSorted(), routed.toSorted());
  assert.equal(new Set(routed).size, routed.length);
  for (const each of documented) {
    const [method = "", path = ""] = each.split(" ");
    const { status } = await ask(method.toUpperCase(), path, method === "get" ? {} : { body: {} });
    assert.ok(![404, 405, 500].includes(status) || path.startsWith("/v1/moves"), `${each}: ${status}`);
  }
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((each) => each.operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[a-z][A-Za-z0-9]+$/);
});

test("a path that there is not is 404, another method 405 and names those that there are", async (t) => {
  const { ask } = await startApi(t);
  assert.equal((await ask("GET", "/v2/status")).status, 404);
  assert.equal((await ask("GET", "/v1/status/")).status, 404);
  const wrong = await ask("PATCH", "/v1/user");
  assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD, PUT, DELETE"]);
  assert.deepEqual(wrong.json, {
    title: "Method not allowed",
    status: 405,
    detail: "/v1/user takes GET, HEAD, PUT, DELETE, not PATCH",
  });
  const head = await ask("HEAD", "/v1/status");
  assert.deepEqual([head.status, head.text], [200, ""]);
});

test("status tells what is under way, the oldest first, and counts holds and users", async (t) => {
  const { ask, clock, deliveries, directory } = await startApi(t);
  deliveries.add(newDelivery("ada", clock));
  clock.advance(1500);
  await directory.users.set("ada", "old", { who: "t", why: "" });
  for (const user of ["ada", "bob"])
    await directory.holds.place(
      { user, owner: "a", reason: "", deadlineMs: clock.wallMs() + 1 },
      { who: "t", why: "" },
    );
  await directory.moves.create([newMove("m", "a1")], { who: "t", why: "" });
  const { json } = await ask("GET", "/v1/status");
  assert.deepEqual(json, {
    version: "1.2.3",
    pid: 4711,
    uptime_ms: 61_000,
    configuration: "/etc/mailshunt.yaml",
    reloads: 2,
    workers: [4712, 4713],
    listeners: [{ protocol: "lmtp", address: "127.0.0.1:24", connections: 2 }],
    backends: [
      { name: "old", lmtp: "unix:/run/old", state: "up", sessions: { open: 3, idle: 1 } },
      { name: "new", lmtp: "10.0.0.2:24", state: "down", trouble: "no answer", sessions: { open: 0, idle: 0 } },
    ],
    deliveries: {
      under_way: 1,
      parked: 1,
      oldest: [{ user: "ada", session: "SESSION1", backend: "old", stage: "dot", age_ms: 1500 }],
    },
    holds: 2,
    users: { old: 1 },
    moves: { planned: 1 },
  });
  assert.equal((await ask("GET", "/v1/status?deliveries=x")).status, 422);
});

test("without a directory status has neither holds nor users, and what needs one is 501", async (t) => {
  const { ask } = await startApi(t, { hasDirectory: false });
  const status = (await ask("GET", "/v1/status")).json as object;
  assert.equal("holds" in status || "users" in status, false);
  for (const path of ["/v1/users", "/v1/user?user=a", "/v1/holds", "/v1/history?user=a", "/v1/users/export"])
    assert.equal((await ask("GET", path)).status, 501, path);
  const refused = await ask("POST", "/v1/holds", { body: { user: "a" } });
  assert.deepEqual(refused.json, {
    title: "No directory",
    status: 501,
    detail: 'the configuration has no directory: add `directory: { store: "sqlite:/path" }`',
  });
});

test("a backend is taken out and in again, and the directory keeps it", async (t) => {
  const { ask, directory, clock } = await startApi(t);
  const states = (json: unknown): string[] =>
    (json as { backends: { name: string; state: string }[] }).backends.map(({ name, state }) => `${name} ${state}`);
  const since = new Date(clock.wallMs()).toISOString();
  const asked = { backend: "old", disabled: true, why: "disk" };
  const out = await ask("POST", "/v1/backends/disabled", { body: asked });
  assert.deepEqual(states(out.json), ["old disabled", "new down"]);
  assert.partialDeepStrictEqual(out.json, {
    kept: true,
    backends: [{ name: "old", disabled: { since, who: "admin", why: "disk" } }],
  });
  assert.deepEqual(
    directory.backends.disabled().map(({ backend }) => backend),
    ["old"],
  );
  assert.deepEqual(states((await ask("GET", "/v1/backends")).json), ["old disabled", "new down"]);
  const back = await ask("POST", "/v1/backends/disabled", { body: { backend: "old", disabled: false } });
  assert.deepEqual(states(back.json), ["old up", "new down"]);
  const none = await ask("POST", "/v1/backends/disabled", { body: { backend: "older", disabled: true } });
  assert.deepEqual(
    [none.status, (none.json as { detail: string }).detail],
    [404, 'there is no backend "older": known are old, new; did you mean "old"?'],
  );
  assert.deepEqual(directory.backends.disabled(), []);
});

test("a backend that the configuration no longer has can be enabled, once", async (t) => {
  const { ask, directory } = await startApi(t);
  await directory.backends.setDisabled("gone", true, { who: "t", why: "" });
  const enable = (): Promise<Answered> =>
    ask("POST", "/v1/backends/disabled", { body: { backend: "gone", disabled: false } });
  assert.equal((await enable()).status, 200);
  assert.deepEqual(directory.backends.disabled(), []);
  assert.equal((await enable()).status, 404);
});

test("a backend is not taken out when the directory cannot keep it, and without a directory until the end alone", async (t) => {
  const failing = await startApi(t, {
    wrap: (directory) => ({
      ...directory,
      backends: {
        ...directory.backends,
        setDisabled: () => Promise.reject(new DirectoryFailed("DIRECTORY_FULL", "the disk is full")),
      },
    }),
  });
  const body = { backend: "old", disabled: true };
  const refused = await failing.ask("POST", "/v1/backends/disabled", { body });
  assert.deepEqual([refused.status, (refused.json as { detail: string }).detail], [503, "the disk is full"]);
  assert.equal((await failing.services.backends())[0]?.isDisabled, false);

  const without = await startApi(t, { hasDirectory: false });
  const { json } = await without.ask("POST", "/v1/backends/disabled", { body });
  assert.partialDeepStrictEqual(json, { kept: false, backends: [{ name: "old", state: "disabled" }] });
});

test("route tells the decision, its source and the tables asked", async (t) => {
  const { ask, directory, clock } = await startApi(t);
  const route = async (address: string): Promise<unknown> => (await ask("GET", query("/v1/route", { address }))).json;
  assert.deepEqual(await route("Tim+x@Example.com"), {
    user_key: "tim",
    decision: "deliver",
    backend: "old",
    lmtp: "unix:/run/old",
    source: { kind: "table", table: "users", key: "tim+x" },
    asked: [
      { table: "users", key: "Tim+x", answer: "absent" },
      { table: "users", key: "tim+x", answer: "found", value: "old" },
    ],
  });
  assert.deepEqual(await route("broken@x"), {
    user_key: "broken",
    decision: "failed",
    reason: "table users: the table is gone",
    source: { kind: "table", table: "users", key: "broken" },
    asked: [{ table: "users", key: "broken", answer: "failed", reason: "the table is gone" }],
  });
  assert.deepEqual(await route("nobody@x"), {
    user_key: "nobody",
    decision: "unknown",
    answer: "defer",
    source: { kind: "none" },
    asked: [{ table: "users", key: "nobody", answer: "absent" }],
  });
  await directory.holds.place(
    { user: "grüße", owner: "admin", reason: "moving", deadlineMs: clock.wallMs() + 1 },
    { who: "t", why: "" },
  );
  assert.deepEqual(await route("GRÜßE@x"), {
    user_key: "grüße",
    decision: "hold",
    source: { kind: "hold", owner: "admin", reason: "moving" },
    asked: [],
  });
});

test("query asks a table", async (t) => {
  const { ask } = await startApi(t);
  const ask1 = async (key: string): Promise<unknown> =>
    (await ask("GET", query("/v1/query", { table: "users", key }))).json;
  assert.deepEqual(await ask1("tim"), { answer: "found", value: "old" });
  assert.deepEqual(await ask1("many"), { answer: "found", value: "old, new", values: ["old", "new"] });
  assert.deepEqual(await ask1("x"), { answer: "absent" });
  assert.deepEqual(await ask1(""), { answer: "absent" });
  assert.deepEqual(await ask1("broken"), { answer: "failed", reason: "the table is gone" });
  const none = await ask("GET", query("/v1/query", { table: "user", key: "x" }));
  assert.deepEqual(
    [none.status, (none.json as { detail: string }).detail],
    [404, 'there is no table "user": known are users; did you mean "users"?'],
  );
});

test("reload tells why it did not take effect, flush empties", async (t) => {
  let flushed = 0;
  const outcomes = [
    { number: 1, reasons: [] },
    { number: 2, reasons: ["line 1: no"] },
  ];
  const { ask } = await startApi(t, {
    services: {
      flush: () => void (flushed += 1),
      reload: () => Promise.resolve(outcomes.shift() ?? { number: 0, reasons: [] }),
    },
  });
  assert.deepEqual((await ask("POST", "/v1/reload")).json, { number: 1, took_effect: true, reasons: [] });
  assert.deepEqual((await ask("POST", "/v1/reload")).json, { number: 2, took_effect: false, reasons: ["line 1: no"] });
  assert.deepEqual((await ask("POST", "/v1/flush")).json, { flushed: true });
  assert.equal(flushed, 1);
});

test("metrics, health and readiness are plain text, whatever the query", async (t) => {
  let isReady = true;
  const { ask } = await startApi(t, { services: { isReady: () => isReady } });
  const metrics = await ask("GET", "/metrics?collect[]=x");
  assert.deepEqual([metrics.status, metrics.type], [200, "text/plain; version=0.0.4"]);
  assert.equal((await ask("GET", "/health")).text, "ok\n");
  assert.equal((await ask("GET", "/ready")).text, "ready\n");
  isReady = false;
  assert.deepEqual([(await ask("GET", "/ready")).status, (await ask("GET", "/health")).status], [503, 200]);
});

test("where a token is asked for, nothing is told without it", async (t) => {
  const { ask } = await startApi(t, { token: "sesame" });
  for (const authorization of [undefined, "Bearer ", "Bearer Sesame", "Bearer sesame2", "Basic sesame", "sesame"])
    for (const path of ["/v1/status", "/metrics", "/health", "/openapi.json", "/nothing"]) {
      const refused = await ask("GET", path, authorization === undefined ? {} : { headers: { authorization } });
      assert.equal(refused.status, 401, `${authorization} ${path}`);
      assert.equal(refused.headers.get("www-authenticate"), "Bearer");
      assert.equal(refused.headers.get("connection"), "close");
    }
  for (const authorization of ["Bearer sesame", "bearer sesame"])
    assert.equal((await ask("GET", "/v1/status", { headers: { authorization } })).status, 200);
});

test("a query is taken as it is written, or not at all", async (t) => {
  const { ask } = await startApi(t);
  const cases = [
    ["/v1/user", 422, "query /user: "],
    ["/v1/user?user=", 422, "query /user: is empty"],
    ["/v1/user?user=a&user=b", 422, "query /user: comes twice"],
    ["/v1/user?user=a&colour=red", 422, "query /colour: "],
    ["/v1/user?user=%FF", 400, "%FF is not percent-encoded UTF-8"],
    ["/v1/user?user=%zz", 400, "%zz is not"],
    ["/v1/user?user=%00", 422, "query /user: contains a NUL"],
    ["/v1/user?user=a%0Ab", 422, "query /user: has a control character"],
    [`/v1/user?user=${"%E4%B8%8A".repeat(400)}`, 422, "query /user: has more than 1024 bytes"],
    ["/v1/backends?x=1", 422, "query /x: "],
    ["/v1/users?limit=0", 422, "query /limit: expected a whole number, 1 at least"],
    ["/v1/users?limit=-1", 422, "query /limit: "],
    ["/v1/users?__proto__=1", 422, "query /__proto__: "],
  ] as const;
  for (const [path, status, detail] of cases) {
    const refused = await ask("GET", path);
    assert.equal(refused.status, status, path);
    assert.ok((refused.json as { detail: string }).detail.startsWith(detail), refused.text);
  }
  assert.equal((await ask("GET", "/v1/user?&user=a+b&")).text, '{"user":"a b","holds":[]}');
});

test("a body is JSON of 1 MiB at most, with the members that there are", async (t) => {
  const { ask, bugs } = await startApi(t);
  const put = async (raw: RawBody | undefined, headers = {}): Promise<readonly [number, string]> => {
    const { status, json } = await ask("PUT", "/v1/user", { headers, ...(raw === undefined ? {} : { raw }) });
    return [status, (json as { detail: string }).detail];
  };
  const large = JSON.stringify({ user: "a", backend: "old", why: "x".repeat(1024 * 1024) });
  assert.deepEqual(await put(large), [413, "a body has 1048576 bytes at most"]);
  // Without a length, and without an end: it is not read further.
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  assert.equal((await put(endless))[0], 413);
  assert.ok(pulled < 25, String(pulled));
  assert.deepEqual(await put("{"), [400, "the body is not JSON"]);
  assert.deepEqual(await put(undefined), [400, "the body is not JSON"]);
  assert.deepEqual(await put(Buffer.from([0x22, 0xff, 0x22])), [400, "the body is not UTF-8"]);
  assert.equal((await put("[]"))[0], 422);
  assert.equal((await put("null"))[0], 422);
  const unknown = await ask("PUT", "/v1/user", { body: { user: 1, backnd: "old", who: "move:1" } });
  assert.equal(unknown.status, 422);
  assert.deepEqual(
    errorsOf(unknown.json).map((each) => (each as { pointer: string }).pointer),
    ["/user", "/backend", "/who", "/backnd"],
  );
  assert.equal((await ask("PUT", "/v1/user", { raw: '{"user":"\\ud800","backend":"old"}' })).status, 422);
  assert.deepEqual(bugs, []);
});

test("a bug of ours is 500 without a word about it, and is logged", async (t) => {
  const { ask, bugs } = await startApi(t, {
    services: {
      backends: () => {
        throw new TypeError("secret of the house");
      },
    },
  });
  const { status, text } = await ask("GET", "/v1/backends");
  assert.equal(status, 500);
  assert.deepEqual(JSON.parse(text), { title: "Internal error", status: 500, detail: "a bug: the log has more" });
  assert.equal(bugs.length, 1);
});
