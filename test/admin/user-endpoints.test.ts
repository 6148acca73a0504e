import assert from "node:assert/strict";
import { test } from "node:test";
import { newMove } from "../support/directory-contract-parts.ts";
import { ADMIN, query, startApi } from "./api.ts";
import type { Api, RawBody } from "./api.ts";

const detailOf = (json: unknown): string => (json as { detail: string }).detail;

interface Report {
  readonly dry_run: boolean;
  readonly read: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly repeated: number;
  readonly refused: number;
  readonly refusals: readonly { user: string; move: string }[];
  readonly invalid: number;
  readonly faults: readonly { entry: number; fault: string }[];
}

async function importLines({ ask }: Api, raw: RawBody, more: Readonly<Record<string, string>> = {}): Promise<Report> {
  const { status, json, text } = await ask("POST", query("/v1/users/import", more), { raw });
  assert.equal(status, 200, text);
  return json as Report;
}

/** All entries, by paging. */
async function listAll({ ask }: Api, limit: number, more: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const asked = { ...more, limit: String(limit), ...(after === undefined ? {} : { after }) };
    const { json } = await ask("GET", query("/v1/users", asked));
    const page = json as { users: { user: string; backend: string }[]; next?: string };
    assert.ok(page.users.length <= limit);
    found.push(...page.users.map(({ user, backend }) => `${user} ${backend}`));
    after = page.next;
  } while (after !== undefined);
  return found;
}

const KEYS = [
  { key: "localpart", given: "Ada+list@Example.com", user: "ada" },
  { key: "localpart", given: "<ada@example.com>", user: "ada" },
  { key: "localpart", given: "GRÜßE@example.com", user: "grüße" },
  { key: "localpart", given: "gru\u0308\u00dfe", user: "grüße" },
  { key: "localpart", given: '"A B"@example.com', user: "a b" },
  { key: "address", given: "Ada+list@Example.com", user: "ada@example.com" },
  { key: "address", given: "上@例え.テスト", user: "上@例え.テスト" },
  { key: "address", given: "ada", user: "ada" },
] as const;
for (const { key, given, user } of KEYS)
  test(`routing.key ${key}: ${JSON.stringify(given)} is ${user}, wherever it is given`, async (t) => {
    const { ask, directory } = await startApi(t, { routing: { key } });
    const set = await ask("PUT", "/v1/user", { body: { user: given, backend: "old" } });
    assert.deepEqual(set.json, { user, to: "old", changed: true });
    assert.equal(directory.findBackend(user), "old");
    assert.deepEqual((await ask("GET", query("/v1/user", { user: given }))).json, { user, backend: "old", holds: [] });
    const held = await ask("POST", "/v1/holds", { body: { user: given } });
    assert.equal((held.json as { hold: { user: string } }).hold.user, user);
    const released = await ask("DELETE", query("/v1/holds", { user: given }));
    assert.deepEqual(released.json, { user, released: true, still_held: false });
    const history = (await ask("GET", query("/v1/history", { user: given }))).json as { changes: { what: string }[] };
    assert.deepEqual(
      history.changes.map(({ what }) => what),
      ["release", "hold", "set"],
    );
    assert.deepEqual((await ask("DELETE", query("/v1/user", { user: given }))).json, {
      user,
      from: "old",
      changed: true,
    });
    assert.equal(directory.findBackend(user), undefined);
  });

test("what makes no user key is refused and changes nothing", async (t) => {
  const { ask, directory, bugs } = await startApi(t);
  for (const user of ["@example.com", '""@example.com']) {
    const refused = await ask("PUT", "/v1/user", { body: { user, backend: "old" } });
    assert.equal(refused.status, 422);
    assert.equal(detailOf(refused.json), `"${user}" names no user: the key made of it is empty`);
  }
  assert.deepEqual(directory.users.list(), []);
  assert.deepEqual(bugs, []);
});

test("an entry is set, set again, and its backend has to be there", async (t) => {
  const { ask, directory } = await startApi(t);
  const put = async (body: object): Promise<unknown> => (await ask("PUT", "/v1/user", { body })).json;
  assert.deepEqual(await put({ user: "ada", backend: "old", dry_run: true }), {
    user: "ada",
    to: "old",
    changed: true,
  });
  assert.equal(directory.findBackend("ada"), undefined);
  assert.deepEqual(await put({ user: "ada", backend: "old", who: "me", why: "new here" }), {
    user: "ada",
    to: "old",
    changed: true,
  });
  assert.deepEqual(await put({ user: "ada", backend: "old" }), { user: "ada", from: "old", to: "old", changed: false });
  assert.deepEqual(await put({ user: "ada", backend: "new" }), { user: "ada", from: "old", to: "new", changed: true });
  const refused = await ask("PUT", "/v1/user", { body: { user: "ada", backend: "older" } });
  assert.deepEqual(
    [refused.status, detailOf(refused.json)],
    [422, 'there is no backend "older": known are old, new; did you mean "old"?'],
  );
  const history = (await ask("GET", query("/v1/history", { user: "ada" }))).json;
  const { id: first } = (history as { changes: { id: number }[] }).changes[0] ?? { id: 0 };
  assert.deepEqual(history, {
    user: "ada",
    changes: [
      { id: first, at: "2027-01-15T08:00:00.000Z", what: "set", from: "old", to: "new", who: "admin", why: "" },
      { id: first - 1, at: "2027-01-15T08:00:00.000Z", what: "set", to: "old", who: "me", why: "new here" },
    ],
  });
});

test("the user of an active move is left alone, and nobody can call himself that move", async (t) => {
  const { ask, directory } = await startApi(t);
  await directory.users.set("ada", "old", ADMIN);
  await directory.moves.create([newMove("m1", "ada")], ADMIN);
  const detail = "ada is being moved by m1: cancel that move first";
  const set = await ask("PUT", "/v1/user", { body: { user: "ada", backend: "new" } });
  assert.deepEqual(set.json, { title: "Move active", status: 409, detail, move: "m1" });
  assert.equal((await ask("DELETE", query("/v1/user", { user: "ada" }))).status, 409);
  for (const [method, path, body] of [
    ["PUT", "/v1/user", { user: "ada", backend: "new", who: "move:m1" }],
    ["DELETE", query("/v1/user", { user: "ada", who: "move:m1" }), undefined],
    ["DELETE", query("/v1/holds", { user: "ada", owner: "move:m1", who: "move:m1" }), undefined],
    ["POST", "/v1/holds", { user: "ada", owner: "move:m1" }],
    ["POST", query("/v1/users/import", { who: "move:m1" }), undefined],
  ] as const)
    assert.equal(
      (await ask(method, path, body === undefined ? { raw: "ada,new" } : { body })).status,
      422,
      `${method} ${path}`,
    );
  await directory.holds.place(
    { user: "ada", owner: "move:m1", reason: "", deadlineMs: 1 },
    { who: "move:m1", why: "" },
  );
  assert.equal((await ask("DELETE", query("/v1/holds", { user: "ada", owner: "move:m1" }))).status, 409);
  assert.equal(directory.findBackend("ada"), "old");
  assert.equal(directory.findHolds("ada").length, 1);
  assert.equal((await ask("GET", "/v1/user?user=ada")).text.includes('"move":"m1"'), true);
});

test("lists are paged without gaps and repeats, and filtered", async (t) => {
  const api = await startApi(t);
  const users = Array.from({ length: 25 }, (_, at) => `u${String(at).padStart(2, "0")}`);
  await importLines(api, users.map((user, at) => `${user},${at % 2 === 0 ? "old" : "new"}`).join("\n"));
  const all = users.map((user, at) => `${user} ${at % 2 === 0 ? "old" : "new"}`);
  for (const limit of [1, 5, 24, 25, 26, 1000]) assert.deepEqual(await listAll(api, limit), all);
  assert.deepEqual(
    await listAll(api, 4, { backend: "new" }),
    all.filter((entry) => entry.endsWith("new")),
  );
  assert.deepEqual(
    await listAll(api, 3, { prefix: "U1" }),
    all.filter((entry) => entry.startsWith("u1")),
  );
  const page = (await api.ask("GET", "/v1/users?limit=100000")).json as { users: unknown[]; next?: string };
  assert.deepEqual([page.users.length, page.next], [25, undefined]);
});

test("history is paged without gaps", async (t) => {
  const { ask, directory } = await startApi(t);
  for (let at = 0; at < 7; at += 1) await directory.users.set("u", at % 2 === 0 ? "old" : "new", ADMIN);
  const ids: number[] = [];
  let before: number | undefined;
  do {
    const path = query("/v1/history", {
      user: "u",
      limit: "3",
      ...(before === undefined ? {} : { before: String(before) }),
    });
    const page = (await ask("GET", path)).json as { changes: { id: number }[]; next?: number };
    ids.push(...page.changes.map(({ id }) => id));
    before = page.next;
  } while (before !== undefined);
  assert.equal(ids.length, 7);
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => b - a),
  );
});

const ODD_LINES = [
  { name: "nothing", lines: "\n\n", want: [] },
  { name: "no last line end", lines: "a,old\nb,new", want: ["a old", "b new"] },
  { name: "CR LF, header and mark of byte order", lines: "\ufeffUser,Backend\r\na,old\r\n", want: ["a old"] },
  { name: "quoted header", lines: '"user";"backend"\na;old\n', want: ["a old"] },
  {
    name: "a header further down is a line like others",
    lines: "a,old\nuser,backend\n",
    want: ["a old"],
    faults: ['2: there is no backend "backend"'],
  },
  {
    name: "comments and blanks",
    lines: "# all\n  \n\ta , old  \n  b\t\t new\nc   old\n",
    want: ["a old", "b new", "c old"],
  },
  {
    name: "quotes",
    lines: '"a b",old\n"c",  "new"\n"d""e","old"\n"#f",old\n"a,b;c",new\n',
    want: ["#f old", "a b old", "a,b;c new", "c new", 'd"e old'],
  },
  { name: "addresses", lines: "Ada+x@Example.com,old\n", want: ["ada old"] },
  { name: "one user twice: the last counts", lines: "a,old\nA@x,new\n", want: ["a new"] },
  {
    name: "what is no line",
    lines: 'a\n,old\nb,\na,b,c\n"a,old\na"b,old\na,old\rb,old\n@x,old\nok,new\n',
    want: ["ok new"],
    faults: [
      ...[1, 2, 3, 4, 5, 6, 7].map((entry) => `${entry}: expected \`user,backend\``),
      '8: "@x" names no user: the key made of it is empty',
    ],
  },
  { name: "a missing backend", lines: "a,older\nb,old\n", want: ["b old"], faults: ['1: there is no backend "older"'] },
  {
    name: "NUL",
    lines: "a\u0000b,old\n",
    want: [],
    faults: ['1: "a\u0000b" names no user: the key made of it contains a NUL character'],
  },
] as const;
for (const { name, lines, want, ...more } of ODD_LINES)
  for (const chunkBytes of [1, 3, 100_000])
    test(`import of ${name}, ${chunkBytes} bytes at a time`, async (t) => {
      const api = await startApi(t);
      const bytes = Buffer.from(lines);
      const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, at) =>
        bytes.subarray(at * chunkBytes, (at + 1) * chunkBytes),
      );
      const report = await importLines(api, ReadableStream.from(chunks) as ReadableStream<Uint8Array>);
      const faults = "faults" in more ? more.faults : [];
      assert.deepEqual(await listAll(api, 100), want);
      assert.deepEqual(
        report.faults.map(({ entry, fault }) => `${entry}: ${fault}`),
        faults,
      );
      assert.equal(report.invalid, faults.length);
      const { read, created, changed, unchanged, repeated, refused, invalid } = report;
      assert.equal(read, created + changed + unchanged + repeated + refused + invalid);
      assert.deepEqual(api.bugs, []);
    });

test("lines of a megabyte, of bytes and of another encoding are told by their number and kept by nobody", async (t) => {
  const api = await startApi(t);
  const long = `${"x".repeat(1024 * 1024)},old\n`;
  const cut = `u,${"old".padStart(10_002)}${"er".repeat(10)}\n`;
  const raw = Buffer.concat([
    Buffer.from(`a,old\n${long}${cut}`),
    Buffer.from([0xff, 0xfe, 0x00, 0x2c, 0x6f, 0x0a]),
    Buffer.from("gr\xfc\xdfe,old\n", "latin1"),
    Buffer.from(`${"k".repeat(1025)},old\nb,new\n`),
  ]);
  const report = await importLines(api, raw);
  assert.deepEqual(report.faults, [
    { entry: 2, fault: "has more than 10000 characters" },
    { entry: 3, fault: "has more than 10000 characters" },
    { entry: 4, fault: "is not UTF-8" },
    { entry: 5, fault: "is not UTF-8" },
    { entry: 6, fault: `"${"k".repeat(80)}" names no user: the key made of it has more than 1024 bytes` },
  ]);
  assert.deepEqual(await listAll(api, 100), ["a old", "b new"]);
});

test("many faults are counted, and the first of them told", async (t) => {
  const api = await startApi(t);
  const report = await importLines(api, "x\n".repeat(500));
  assert.deepEqual([report.invalid, report.read, report.faults.length], [500, 500, 20]);
});

test("an import in a dry run counts, and users of active moves are left alone", async (t) => {
  const api = await startApi(t);
  await api.directory.users.set("ada", "old", ADMIN);
  await api.directory.users.set("bob", "old", ADMIN);
  await api.directory.moves.create([newMove("m1", "bob")], ADMIN);
  const lines = "ada,new\nbob,new\ncid,old\nada2,old\n";
  for (const isDry of [true, false]) {
    const report = await importLines(api, lines, { dry_run: String(isDry) });
    assert.deepEqual([report.dry_run, report.created, report.changed, report.refused], [isDry, 2, 1, 1]);
    assert.deepEqual(report.refusals, [{ user: "bob", move: "m1" }]);
    assert.equal(api.directory.findBackend("ada"), isDry ? "old" : "new");
  }
  assert.equal(api.directory.findBackend("bob"), "old");
  assert.equal((await api.ask("POST", "/v1/users/import")).status, 400);
});

test("of two imports at once the second is refused, and the next one is not", async (t) => {
  const api = await startApi(t);
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const first = importLines(
    api,
    ReadableStream.from(
      (async function* () {
        yield Buffer.from("a,old\n");
        await gate;
        yield Buffer.from("b,old\n");
      })(),
    ) as ReadableStream<Uint8Array>,
  );
  // Its first line has been taken by the time the second asks.
  await new Promise((resolve) => setImmediate(resolve));
  const second = await api.ask("POST", "/v1/users/import", { raw: "c,old" });
  assert.deepEqual([second.status, detailOf(second.json)], [409, "another import is under way: wait for its end"]);
  open();
  assert.equal((await first).created, 2);
  assert.equal((await importLines(api, "c,old")).created, 1);
  assert.deepEqual(api.bugs, []);
});

const ODD_USERS = [
  "#x",
  "a b",
  'a"b',
  "a,b",
  "a;b",
  "a@b",
  "a\\b",
  "grüße",
  "user",
  "x".repeat(1000),
  "上",
  " a ",
  "<a>",
];
for (const key of ["localpart", "address"] as const)
  test(`what is exported can be imported, routing.key ${key}`, async (t) => {
    const from = await startApi(t, { routing: { key } });
    for (const user of ODD_USERS) await from.directory.users.set(user, "old", ADMIN);
    const { text, type } = await from.ask("GET", "/v1/users/export");
    assert.equal(type, "text/csv; charset=utf-8");
    const to = await startApi(t, { routing: { key } });
    const report = await importLines(to, text);
    assert.deepEqual(report.faults, []);
    assert.deepEqual(to.directory.users.list(), from.directory.users.list());
  });

test("a user that no command could name again is not imported", async (t) => {
  const api = await startApi(t);
  const report = await importLines(api, "a\u001b[2J,old\nb\u0085,old\nc,old\n");
  assert.deepEqual(api.directory.users.list(), [{ user: "c", backend: "old" }]);
  assert.deepEqual(
    report.faults.map(({ entry }) => entry),
    [1, 2],
  );
});

test("perdition's map has those whose backend says where to log in", async (t) => {
  const api = await startApi(t);
  await importLines(api, "a1,old\na2,new\na3,new\n");
  const { text, type } = await api.ask("GET", "/v1/users/export/perdition");
  assert.equal(type, "text/plain; charset=utf-8");
  const leftOut = '# left out: 1 user of backend "old", which has no "imap" in the configuration\n';
  assert.equal(text, `a2:10.0.0.2:143\na3:10.0.0.2:143\n${leftOut}`);
  const pop3 = await api.ask("GET", "/v1/users/export/perdition?service=pop3&backend=new&prefix=a3");
  assert.equal(pop3.text, "a3:10.0.0.2:110\n");
  assert.equal((await api.ask("GET", "/v1/users/export/perdition?service=smtp")).status, 422);
});

test("export filters, and an empty one is empty", async (t) => {
  const api = await startApi(t);
  assert.equal((await api.ask("GET", "/v1/users/export")).text, "");
  await importLines(api, "a1,old\na2,new\nb,old\n");
  assert.equal((await api.ask("GET", "/v1/users/export?backend=old")).text, "a1,old\nb,old\n");
  assert.equal((await api.ask("GET", "/v1/users/export?prefix=A")).text, "a1,old\na2,new\n");
});

test("100,000 lines stream through import and export", async (t) => {
  const api = await startApi(t);
  const count = 100_000;
  let yielded = 0;
  function* lines(): Generator<Uint8Array> {
    for (let at = 0; at < count; at += 100) {
      yielded += 1;
      yield Buffer.from(Array.from({ length: 100 }, (_, i) => `user${at + i}@example.com,old\n`).join(""));
    }
  }
  const body = ReadableStream.from<Uint8Array>(lines());
  const report = await importLines(api, body);
  assert.deepEqual([report.created, report.invalid, yielded], [count, 0, count / 100]);
  const { text } = await api.ask("GET", "/v1/users/export");
  assert.equal(text.split("\n").length, count + 1);
  assert.equal((await importLines(api, text)).unchanged, count);
});

test("where an outside table decides, nobody gets an entry, and old ones can be removed", async (t) => {
  const { ask, directory } = await startApi(t, { routing: { authority: "users" } });
  await directory.users.set("ada", "old", ADMIN);
  const set = await ask("PUT", "/v1/user", { body: { user: "bob", backend: "old" } });
  const dry = await ask("PUT", "/v1/user", { body: { user: "bob", backend: "old", dry_run: true } });
  const imported = await ask("POST", query("/v1/users/import", {}), { raw: "bob,old\n" });
  for (const { status, json } of [set, dry, imported]) {
    assert.equal(status, 501);
    assert.equal(
      detailOf(json),
      "table users says where users live (directory.write_through): move them, or write it there " +
        "(mailshunt table set users USER BACKEND, then mailshunt flush)",
    );
  }
  assert.equal(directory.findBackend("bob"), undefined);
  const unset = await ask("DELETE", query("/v1/user", { user: "ada" }));
  assert.deepEqual(unset.json, { user: "ada", from: "old", changed: true });
});
