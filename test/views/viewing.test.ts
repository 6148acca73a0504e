import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../src/tables/table.ts";
import { found, see } from "./seen.ts";

const ADA = "ada@example.com";
const ABSENT = { kind: "absent" };
const OUR_LMTP = "lmtp:inet:127.0.0.1:2424";
const users = (key: string): Answer =>
  key === "ada" ? found("old") : key === "üser" ? found("new") : { kind: "absent" };
const held = { backend: "old", holds: [{ owner: "move:1", reason: "moving" }] };

/** Of an answer given in the same turn. */
const kindOf = (answer: Answer | Promise<Answer> | undefined): string =>
  answer === undefined || answer instanceof Promise ? "late" : answer.kind;

test("the answers are there in the same turn where tables answer so", () => {
  const { ask, viewing } = see({ users });
  assert.deepEqual(ask({ as: "transport" }, "Ada+lists@Example.com"), found(OUR_LMTP));
  assert.deepEqual(ask({ as: "backend" }, ADA), found("old"));
  assert.deepEqual(ask({ as: "imap" }, ADA), found("10.0.0.1:143"));
  assert.deepEqual(ask({ as: "pop3" }, ADA), found("10.0.0.1:110"));
  assert.deepEqual(ask({ as: "transport", isDirect: true }, ADA), found("lmtp:inet:10.0.0.1:24"));
  assert.deepEqual(
    ask({ as: "transport", lmtp: { kind: "unix", path: "mailshunt/lmtp" } }, ADA),
    found("lmtp:unix:mailshunt/lmtp"),
  );
  assert.ok(!(viewing.findLogin("imap", "ada") instanceof Promise));
});

test("UTF-8 in a key is the router's UTF-8", () => {
  assert.deepEqual(see({ users }).ask({ as: "backend" }, "Üser@example.com"), found("new"));
  assert.deepEqual(see({ users }).ask({ as: "backend" }, "u\u0308ser@example.com"), found("new"));
});

test("a fallback is no answer for what is no address of ours", () => {
  const { ask } = see({ users }, { fallback: "old" });
  for (const key of ["*", "", "example.com", "@example.com", "<>"])
    for (const as of ["transport", "backend", "imap"] as const) assert.deepEqual(ask({ as }, key), ABSENT, key);
  const domains = new Set(["example.com"]);
  assert.deepEqual(ask({ as: "transport", domains }, "eve@elsewhere.example"), ABSENT);
  assert.deepEqual(ask({ as: "transport", domains }, "eve@EXAMPLE.com"), found(OUR_LMTP));
  assert.deepEqual(
    ask({ as: "passdb", service: "imap" }, "eve"),
    ask({ as: "passdb", service: "imap" }, "eve@example.com"),
  );
});

test("a passdb is asked for one service, or the key says which", () => {
  const { ask } = see({ users });
  const imap = found('{"nopassword":"y","proxy":"y","host":"10.0.0.1","port":"143"}');
  assert.deepEqual(ask({ as: "passdb", service: "imap" }, ADA), imap);
  assert.deepEqual(ask({ as: "passdb" }, `imap/${ADA}`), imap);
  assert.deepEqual(
    ask({ as: "passdb" }, "pop3/ada"),
    found('{"nopassword":"y","proxy":"y","host":"10.0.0.1","port":"110"}'),
  );
  const lmtp = found('{"nopassword":"y","proxy":"y","protocol":"lmtp","host":"127.0.0.1","port":"2424"}');
  assert.deepEqual(ask({ as: "passdb" }, `lmtp/${ADA}`), lmtp);
  for (const key of [ADA, `smtp/${ADA}`, "imap", `imap${ADA}`])
    assert.equal(kindOf(ask({ as: "passdb" }, key)), "failed", key);
  assert.deepEqual(ask({ as: "passdb" }, "imap/nobody"), ABSENT);
});

test("a master is told only where the table says so", () => {
  const { ask } = see({ users });
  assert.doesNotMatch(JSON.stringify(ask({ as: "passdb", service: "imap" }, ADA)), /hunter2|master/);
  assert.match(JSON.stringify(ask({ as: "passdb", service: "imap", tellsMaster: true }, ADA)), /hunter2/);
});

test("a hold keeps out mail, and a lock keeps out logins", () => {
  const { ask, viewing, scene } = see({ users, directory: { find: () => held } });
  assert.deepEqual(ask({ as: "transport" }, ADA), found("retry:4.2.1 ada is on hold: moving, try again later"));
  assert.equal(kindOf(ask({ as: "passdb", service: "lmtp" }, ADA)), "failed");
  assert.deepEqual(ask({ as: "imap" }, ADA), found("10.0.0.1:143"));
  assert.deepEqual(ask({ as: "backend" }, ADA), found("old"));
  scene.locked.add("ada");
  scene.directory = { find: () => ({ backend: "old", holds: [] }) };
  assert.deepEqual(ask({ as: "transport" }, ADA), found(OUR_LMTP));
  assert.equal(kindOf(ask({ as: "imap" }, ADA)), "failed");
  assert.equal(kindOf(ask({ as: "passdb", service: "imap" }, ADA)), "failed");
  assert.deepEqual(viewing.findLogin("imap", "Ada+x@example.com"), {
    login: { kind: "locked", userKey: "ada" },
    ip: "",
  });
  assert.deepEqual(ask({ as: "backend" }, ADA), found("old"));
});

test("after a switch every answer is the new store, also one that a slow table was asked for before", async () => {
  const late = Promise.withResolvers<Answer>();
  const { viewing, scene, ask } = see({
    users: () => late.promise,
    directory: { find: () => ({ backend: undefined, holds: [] }) },
  });
  const asked = viewing.findLogin("imap", "ada");
  const askedTable = ask({ as: "imap" }, ADA);
  scene.directory = { find: () => ({ backend: "new", holds: [] }) };
  late.resolve(found("old"));
  const { login } = await asked;
  assert.equal(login.kind === "go" && login.backend, "new");
  assert.deepEqual(await askedTable, found("imap.example:993"));
});

test("what a table was asked before it was written is asked again, by whoever waits for it", async () => {
  const late = Promise.withResolvers<Answer>();
  const name = Promise.withResolvers<{ kind: "found"; ip: string }>();
  const { viewing, scene, ask } = see(
    {
      users: () => late.promise,
      resolve: (host) => (host === "10.0.0.1" ? name.promise : { kind: "found", ip: host }),
    },
    { authority: "users" },
  );
  const asked = viewing.findLogin("imap", "ada");
  const [imap, backend] = [ask({ as: "imap" }, ADA), ask({ as: "backend" }, ADA)];
  scene.users = () => found("new");
  scene.forgets += 1;
  late.resolve(found("old"));
  const { login } = await asked;
  assert.equal(login.kind === "go" && login.backend, "new");
  assert.deepEqual([await imap, await backend], [found("imap.example:993"), found("new")]);

  scene.users = () => found("old");
  const looksUpName = viewing.findLogin("imap", "ada");
  scene.users = () => found("new");
  scene.forgets += 1;
  name.resolve({ kind: "found", ip: "10.0.0.1" });
  const second = await looksUpName;
  assert.equal(second.login.kind === "go" && second.login.backend, "new");
});

test("a lock that comes while a table is asked, or a name is looked up, keeps the login out", async () => {
  const late = Promise.withResolvers<Answer>();
  const slowTable = see({ users: () => late.promise });
  const first = slowTable.viewing.findLogin("imap", "ada");
  slowTable.scene.locked.add("ada");
  late.resolve(found("old"));
  assert.equal((await first).login.kind, "locked");

  const name = Promise.withResolvers<{ kind: "found"; ip: string }>();
  const slowName = see({ users: () => found("new"), resolve: () => name.promise });
  const second = slowName.viewing.findLogin("imap", "ada");
  slowName.scene.locked.add("ada");
  name.resolve({ kind: "found", ip: "10.0.0.2" });
  assert.equal((await second).login.kind, "locked");
});

test("a switch while a name is looked up sends the login to the new store", async () => {
  const name = Promise.withResolvers<{ kind: "found"; ip: string }>();
  const { viewing, scene } = see({
    directory: { find: () => ({ backend: "new", holds: [] }) },
    resolve: (host) => (host === "imap.example" ? name.promise : { kind: "found", ip: host }),
  });
  const asked = viewing.findLogin("imap", "ada");
  scene.directory = { find: () => ({ backend: "old", holds: [] }) };
  name.resolve({ kind: "found", ip: "10.0.0.2" });
  const { login, ip } = await asked;
  assert.deepEqual([login.kind === "go" && login.backend, ip], ["old", "10.0.0.1"]);
});

test("a directory that cannot tell makes everybody wait", () => {
  const directory = { find: () => assert.fail("the disk is gone") };
  const { ask, viewing, tables } = see({ users, directory });
  for (const as of ["transport", "backend", "imap"] as const) assert.equal(kindOf(ask({ as }, ADA)), "failed");
  const { login } = viewing.findLogin("imap", "ada") as { login: { kind: string } };
  assert.equal(login.kind, "failed");
  assert.equal(kindOf(tables.ruled.get("directory")?.lookup(ADA)), "failed");
});

test("a table of the directory knows its entries, by address and by user key", () => {
  const directory = { find: (user: string) => ({ backend: user === "ada" ? "new" : undefined, holds: held.holds }) };
  const { tables } = see({ users, directory });
  const table = tables.ruled.get("directory");
  for (const key of ["ada", ADA, "ADA+x@example.com"]) assert.deepEqual(table?.lookup(key), found("new"), key);
  for (const key of ["bob", "example.com", "*", ""]) assert.deepEqual(table?.lookup(key), ABSENT, key);
  assert.equal(kindOf(see({}).tables.ruled.get("directory")?.lookup(ADA)), "failed");
});

test("a table of the directory lists its entries in pages, or fails", async () => {
  const asked: string[] = [];
  async function* list(prefix: string) {
    asked.push(prefix);
    for (let number = 0; number < 1_200; number += 1) yield { user: `${prefix}${number}`, backend: "new" };
    if (prefix === "x") throw new Error("the disk is gone");
  }
  const directory = { find: () => ({ backend: undefined, holds: [] }), list };
  const listed = async (prefix: string, scene: Parameters<typeof see>[0] = { directory }): Promise<number[]> => {
    const sizes: number[] = [];
    const table = see(scene).tables.ruled.get("directory");
    for await (const page of table?.list?.(prefix) ?? []) {
      sizes.push(page.length);
      assert.deepEqual(page[0], { key: `ü${500 * (sizes.length - 1)}`, value: "new" });
    }
    return sizes;
  };
  assert.deepEqual(await listed("U\u0308"), [500, 500, 200]);
  assert.deepEqual(asked, ["ü"]);
  const failure = { name: "TableFailure" };
  await assert.rejects(Array.fromAsync(see({ directory }).tables.ruled.get("directory")?.list?.("x") ?? []), failure);
  await assert.rejects(listed("a", {}), failure);
});

for (const name of ["transport", "either"])
  test(`the tables that the router asks are open until who asks table ${name} is answered`, async () => {
    const late = Promise.withResolvers<Answer>();
    const { tables } = see(
      { users: () => late.promise, directory: { find: () => ({ backend: undefined, holds: [] }) } },
      { tables: ["users", "closing"] },
    );
    const asked = tables.ruled.get(name)?.lookup(ADA);
    const closed = tables.close();
    await new Promise(setImmediate);
    late.resolve({ kind: "absent" });
    assert.deepEqual(await asked, ABSENT);
    await closed;
    assert.equal(kindOf(tables.ruled.get("closing")?.lookup("ada")), "failed");
  });
