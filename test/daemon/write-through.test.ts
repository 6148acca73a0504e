import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { runMoveList } from "../../src/cli/admin/move.ts";
import { runMoveStart } from "../../src/cli/admin/move-start.ts";
import { startMailshunt } from "../support/daemon-process.ts";
import { startHttpStore } from "../support/http-store.ts";
import type { HttpStore } from "../support/http-store.ts";
import { until } from "../support/until.ts";
import { route, runCommand, withOutput } from "./admin-setting.ts";
import type { Ran } from "./admin-setting.ts";
import { startSetting } from "./setting.ts";
import type { Setting } from "./setting.ts";

/** In place of the service; false leaves it to it. */
type OnRequest = (method: string, apply: () => void, response: ServerResponse) => boolean;

interface Outside extends Setting {
  readonly store: HttpStore;
  onRequest: OnRequest;
  run(...words: readonly string[]): Promise<Ran>;
  /** Moves ann, and waits for the end unless detached. */
  move(to: string, flags?: { readonly detach?: true }): Promise<Ran>;
  /** Writes the configuration anew. */
  setAuthority(isAuthority: boolean): void;
}

const directoryLines = (folder: string, isAuthority: boolean): string[] => [
  `directory: { store: "sqlite:${folder}/directory.db"${isAuthority ? ", write_through: users" : ""} }`,
  "drain: { settle: 1s }",
  `moves: { folder: "${folder}/moves", address: "{user}@b.example", lock: { grace: 0s }, verify: { enabled: false }, ` +
    "presets: { nothing: { type: command } } }",
];

/** Ann lives in `old`, as an HTTP service says that is remembered for an hour. */
async function start(t: TestContext, { isAuthority = true, workers = 1 } = {}): Promise<Outside> {
  const service: { onRequest: OnRequest } = { onRequest: () => false };
  const store = await startHttpStore(t, new Map([["ann", "old"]]), {
    onRequest: ({ method, key, body }, response) =>
      service.onRequest(method, () => void store.values.set(key, body), response),
  });
  const setting = await startSetting(t, (folder) => ({
    listeners: [
      'address: "127.0.0.1:0"',
      `address: "unix:${folder}/lmtp"`,
      `protocol: admin, address: "unix:${folder}/admin"`,
    ],
    usersTable: `{ type: url, url: "${store.url}", timeout: 3s, cache: { ttl: 1h, absent_ttl: 1h } }`,
    more: [...directoryLines(folder, isAuthority), `process: { workers: ${workers} }`],
  }));
  const { folder, rewrite } = setting;
  const admin = `unix:${folder}/admin`;
  return Object.assign(service, {
    ...setting,
    store,
    run: (...words: readonly string[]) => runCommand(...words, "--admin", admin),
    move: (to: string, flags = {}) => withOutput((io) => runMoveStart(["ann"], { admin, to, ...flags }, io)),
    setAuthority: (next: boolean) =>
      rewrite({ more: [...directoryLines(folder, next), `process: { workers: ${workers} }`] }),
  });
}

/** Delivers a message. @returns where it came */
async function deliver({ connect, stores }: Setting, user: string): Promise<string> {
  const before = { old: stores.old.delivered.length, new: stores.new.delivered.length };
  const client = await connect();
  const { final } = await client.transaction({ recipients: [`${user}@b.example`] });
  assert.match(final.join(" "), /^250 /);
  return stores.new.delivered.length > before.new ? "new" : "old";
}

/** So often that each process has served one: the kernel shares connections out by chance. */
const DELIVERIES = 12;

for (const workers of [1, 2])
  test(`a move by the table, there and back, and nobody hears what was cached, processes: ${workers}`, async (t) => {
    const outside = await start(t, { workers });
    const spellings = Array.from({ length: workers === 1 ? 2 : DELIVERIES }, (_, at) =>
      at % 2 === 0 ? "ann" : "Ann+lists",
    );
    for (const to of ["new", "old"]) {
      for (const spelling of spellings) assert.equal(await deliver(outside, spelling), to === "new" ? "old" : "new");
      const moved = await outside.move(to);
      assert.deepEqual([moved.code, moved.stderr], [0, ""]);
      assert.equal(outside.store.values.get("ann"), `"${to}"`);
      for (const spelling of spellings) assert.equal(await deliver(outside, spelling), to);
      assert.match((await outside.run("user", "get", "ann")).stdout, /^ann\t\(no entry/);
    }
  });

test("a reload lets the table decide: entries are told of and go with a move, and there are no new ones", async (t) => {
  const outside = await start(t, { isAuthority: false });
  const { daemon, run, setAuthority, folder } = outside;
  assert.equal((await run("user", "set", "ann", "--to", "old")).code, 0);
  setAuthority(true);
  assert.equal((await run("reload")).code, 0);
  await daemon.nextLine(
    /warning: 1 entry of the directory overrule table users, which is to decide where users live \(directory\.write_through\)/,
  );
  assert.ok(!daemon.hasLine(/takes effect with a restart/));
  const said =
    "table users says where users live (directory.write_through): move them, or write it there " +
    "(mailshunt table set users USER BACKEND, then mailshunt flush)";
  const set = await run("user", "set", "bob", "eve", "--to", "new");
  assert.deepEqual(set, { code: 64, stdout: "", stderr: `mailshunt: ${said}\n` });
  const list = join(folder, "users.csv");
  writeFileSync(list, "bob,new\n");
  assert.deepEqual(await run("user", "import", list), { code: 64, stdout: "", stderr: `mailshunt: ${said}\n` });
  assert.equal((await outside.move("new")).code, 0);
  assert.equal((await run("user", "list")).stdout, "");
  assert.equal(await deliver(outside, "ann"), "new");
});

/** Where the daemon is killed, and what becomes of the move after the next start. */
const KILLS = [
  { at: "a write that nobody applies", end: "rolled-back" },
  { at: "a write that was applied and not answered", end: "done" },
  { at: "a write that is applied when the daemon is dead", end: "done" },
  { at: "reading back", end: "done" },
] as const;
for (const { at, end } of KILLS)
  test(`killed in ${at}, and started again`, async (t) => {
    const outside = await start(t);
    const { daemon, folder, store, run } = outside;
    const admin = `unix:${folder}/admin`;
    assert.equal(await deliver(outside, "ann"), "old");
    let applyLate: (() => void) | undefined;
    let isKilled = false;
    const kill = (): void => {
      isKilled = true;
      daemon.signal("SIGKILL");
    };
    let isWritten = false;
    outside.onRequest = (method, apply, response) => {
      if (isKilled || (method === "GET" && !isWritten)) return false;
      isWritten = true;
      const isReading = at === "reading back";
      if (isReading && method === "POST") return false;
      if (at === "a write that was applied and not answered") apply();
      if (at === "a write that is applied when the daemon is dead") applyLate = apply;
      kill();
      t.after(() => response.destroy());
      return true;
    };
    await outside.move("new", { detach: true });
    await daemon.exited;
    if (at === "a write that was applied and not answered" || at === "reading back")
      assert.equal(store.values.get("ann"), '"new"');
    const next = startMailshunt(t, ["serve", "-c", join(folder, "mailshunt.yaml")]);
    await next.nextLine(/is ready/);
    applyLate?.();
    const phase = await until(
      "the end of the move",
      async () => {
        const listed = (await withOutput((io) => runMoveList({ admin, json: true }, io))).stdout;
        const move = listed === "" ? undefined : (JSON.parse(listed) as { phase: string; active: boolean });
        return move?.active === false ? move.phase : undefined;
      },
      { describe: () => next.output() },
    );
    assert.equal(phase, end);
    const home = end === "done" ? "new" : "old";
    assert.equal(store.values.get("ann"), `"${home}"`);
    assert.equal((await run("user", "list")).stdout, "");
    const { stdout } = await run("status", "--json");
    assert.deepEqual((JSON.parse(stdout) as { holds?: unknown }).holds, []);
    const routed = await route({ admin, isJson: true, addresses: ["Ann@b.example"] });
    assert.equal((JSON.parse(routed.stdout) as { backend?: string }).backend, home);
  });
