import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { MoveDetails } from "../../src/moves/move-service.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";
import { makeSqlSource, startStores, startUrlSource, URL_TIMEOUT_MS } from "./outside-sources.ts";
import type { OutsideSource, UrlSource } from "./outside-sources.ts";
import { OPERATOR, SETTLE_MS, startOutside } from "./outside-setting.ts";
import type { OutsideDaemon, OutsideOptions } from "./outside-setting.ts";

interface Given<Source> {
  readonly source: Source;
  readonly daemon: OutsideDaemon;
  readonly options: OutsideOptions;
}

/** Ann lives in `old`. */
async function given<Source extends OutsideSource>(
  t: TestContext,
  make: (t: TestContext, folder: string) => Source | Promise<Source>,
  more: Partial<OutsideOptions> = {},
): Promise<Given<Source>> {
  const folder = scratchFolder(t);
  await startStores(t, folder);
  const source = await make(t, folder);
  source.set("ann", "old");
  const options = { folder, stores: folder, table: source.table, ...more };
  return { source, options, daemon: await startOutside(t, options) };
}

const SOURCES = {
  sql: (t: TestContext, folder: string) => makeSqlSource(t, folder),
  url: (t: TestContext) => startUrlSource(t),
} as const;
const KINDS = ["sql", "url"] as const;
const cachedSql = (t: TestContext, folder: string): OutsideSource =>
  makeSqlSource(t, folder, ", cache: { ttl: 1h, absent_ttl: 1h }");

const backendOf = async ({ route }: OutsideDaemon, recipient: string): Promise<string> => {
  const found = await route(recipient);
  return found.kind === "deliver" ? found.backend : found.kind;
};
const heldBy = ({ holding }: OutsideDaemon, user: string): number => holding.directory.findHolds(user).length;
const timeOf = ({ journal }: MoveDetails, what: string): number =>
  journal.find((line) => line.what === what)?.atMs ?? Number.NaN;
const textOf = ({ journal }: MoveDetails, what: string): string | undefined =>
  journal.find((line) => line.what === what)?.text;

for (const kind of KINDS)
  test(`a user moves, back and forth, by the table alone: ${kind}`, async (t) => {
    const { daemon, source } = await given<OutsideSource>(t, SOURCES[kind]);
    const { directory } = daemon.holding;
    for (const [from, to] of [
      ["old", "new"],
      ["new", "old"],
    ] as const) {
      assert.equal(await backendOf(daemon, "ann@b.example"), from);
      const details = await daemon.ended(await daemon.move("ann", to));
      assert.deepEqual([details.phase, details.warnings], ["done", []]);
      assert.equal(source.get("ann"), to);
      assert.equal(await backendOf(daemon, "ann@b.example"), to);
      assert.equal(directory.findBackend("ann"), undefined);
      assert.equal(heldBy(daemon, "ann"), 0);
    }
    assert.deepEqual(
      daemon.said.filter((line) => !line.startsWith("info")),
      [],
    );
  });

test("an entry of earlier times goes with the switch, or the table would be overruled", async (t) => {
  const { daemon, source, options } = await given<OutsideSource>(t, SOURCES.sql);
  const { directory } = daemon.holding;
  await directory.users.set("ann", "old", OPERATOR);
  await daemon.ended(await daemon.move("ann", "new"));
  assert.equal(directory.findBackend("ann"), undefined);
  assert.equal(source.get("ann"), "new");
  assert.equal(await backendOf(daemon, "ann@b.example"), "new");
  // Moved while the directory decided: the table knows nothing of it.
  await daemon.reload({ ...options, isAuthority: false });
  await daemon.ended(await daemon.move("ann", "old"));
  assert.equal(directory.findBackend("ann"), "old");
  await daemon.reload(options);
  const { refused } = await daemon.holding.moves.start({ users: ["ann"], to: "new", author: OPERATOR });
  assert.equal(
    refused[0]?.text,
    'table users says "new", but an entry of the directory overrules it with "old": ' +
      "make the table say where the mailbox is, then mailshunt user unset ann",
  );
  source.set("ann", "old");
  await directory.users.unset("ann", OPERATOR);
  assert.equal((await daemon.ended(await daemon.move("ann", "new"))).phase, "done");
});

test("a user of whom the table says nothing gets a row", async (t) => {
  const { daemon, source } = await given<OutsideSource>(t, SOURCES.url);
  assert.equal(await backendOf(daemon, "bob@b.example"), "old");
  assert.equal((await daemon.ended(await daemon.move("bob", "new"))).phase, "done");
  assert.equal(source.get("bob"), "new");
  source.refuse();
  assert.equal((await daemon.ended(await daemon.move("eve", "new"))).phase, "rolled-back");
  assert.equal(source.get("eve"), undefined);
});

test("from the end of a move on nobody hears what was cached, by whatever spelling or configuration", async (t) => {
  const { daemon, source, options } = await given(t, cachedSql);
  // A row of somebody who believed that case matters.
  source.set("Ann", "old");
  const older = daemon.running();
  const spellings = ["ann@b.example", "Ann@b.example", "ANN+lists@b.example"];
  const routes = async (): Promise<string[]> => {
    const found = new Set<string>();
    for (const recipient of spellings)
      for (const { world } of [older, daemon.running()]) {
        const route = await world.router.route(recipient);
        found.add(route.kind === "deliver" ? route.backend : route.kind);
      }
    return [...found];
  };
  await daemon.reload(options);
  assert.deepEqual(await routes(), ["old"]);
  await daemon.ended(await daemon.move("ann", "new"));
  assert.deepEqual(await routes(), ["new"]);
});

test("where users live is asked past the cache before anything is copied", async (t) => {
  const { daemon, source } = await given(t, cachedSql);
  assert.equal(await backendOf(daemon, "ann@b.example"), "old");
  source.set("ann", "new");
  const { refused } = await daemon.holding.moves.start({ users: ["ann"], to: "new", author: OPERATOR });
  assert.equal(refused[0]?.why, "already-there");
});

test("a table that is asked before the outside one keeps its users where they are", async (t) => {
  const { daemon, source } = await given<OutsideSource>(t, SOURCES.sql, {
    tables: ["overrides: { type: static, entries: { ann: old } }"],
    routed: ["overrides", "users"],
  });
  const { refused } = await daemon.holding.moves.start({ users: ["ann"], to: "new", author: OPERATOR });
  assert.equal(
    refused[0]?.text,
    "table users: table overrides is asked before users and knows the user: take the user out of it",
  );
  assert.equal((await daemon.ended(await daemon.move("bob", "new"))).phase, "done");
  assert.equal(source.get("bob"), "new");
});

for (const kind of KINDS)
  test(`a write that is refused rolls the move back at once: ${kind}`, async (t) => {
    const { daemon, source } = await given<OutsideSource>(t, SOURCES[kind], { settleMs: 20_000 });
    source.refuse();
    const details = await daemon.ended(await daemon.move("ann", "new"));
    assert.equal(details.phase, "rolled-back");
    assert.equal(details.reason, "the table that decides where users live still has the old backend");
    assert.match(textOf(details, "outside-written") ?? "", kind === "sql" ? /not now/ : /status 403/);
    assert.ok(timeOf(details, "outside-read") - timeOf(details, "outside-written") < 20_000);
    assert.equal(source.get("ann"), "old");
    assert.equal(heldBy(daemon, "ann"), 0);
    assert.equal(await backendOf(daemon, "ann@b.example"), "old");
  });

test("a write whose reply is lost, and which was applied, is found by reading it back", async (t) => {
  const { daemon, source } = await given<UrlSource>(t, SOURCES.url);
  source.onWrite = (apply, response) => {
    apply();
    response.destroy();
    return true;
  };
  const details = await daemon.ended(await daemon.move("ann", "new"));
  assert.equal(details.phase, "done");
  assert.ok(daemon.said.some((line) => line.startsWith("error") && line.includes("it is unknown whether")));
  assert.equal(source.asked.filter((method) => method === "POST").length, 1);
});

test("a write whose reply is lost, and which was not applied, holds the user until none can come any more", async (t) => {
  const { daemon, source } = await given<UrlSource>(t, SOURCES.url);
  let wasHeld = true;
  source.onWrite = (_apply, response) => {
    source.onRead = () => {
      wasHeld &&= heldBy(daemon, "ann") === 1;
      return false;
    };
    response.destroy();
    return true;
  };
  const details = await daemon.ended(await daemon.move("ann", "new"));
  assert.equal(details.phase, "rolled-back");
  assert.ok(timeOf(details, "outside-read") - timeOf(details, "outside-written") >= SETTLE_MS);
  assert.ok(wasHeld);
  assert.ok(
    daemon.said.some((line) => line.startsWith("error") && line.includes("but a write may still be under way")),
  );
  assert.equal(heldBy(daemon, "ann"), 0);
});

test("a write that is applied long after nobody waits for it is no way back", async (t) => {
  const { daemon, source } = await given<UrlSource>(t, SOURCES.url);
  source.onWrite = (apply, response) => {
    let reads = 0;
    source.onRead = () => {
      reads += 1;
      // The first read back sees the old one.
      if (reads === 2) apply();
      return false;
    };
    t.after(() => response.destroy());
    return true;
  };
  const details = await daemon.ended(await daemon.move("ann", "new"));
  assert.equal(details.phase, "done");
  assert.equal(textOf(details, "outside-written"), `the outside table: no answer within ${URL_TIMEOUT_MS} ms`);
  assert.equal(await backendOf(daemon, "ann@b.example"), "new");
});

test("while the table cannot be read back the user stays held, past the deadline too, and alarms tell of it", async (t) => {
  const { daemon, source } = await given<UrlSource>(t, SOURCES.url, { holdDeadlineMs: 1_000 });
  source.onWrite = (apply, response) => {
    apply();
    response.writeHead(204).end();
    source.onRead = (reading) => {
      reading.writeHead(503).end();
      return true;
    };
    return true;
  };
  const moveId = await daemon.move("ann", "new");
  const alarms = (): number =>
    daemon.said.filter((line) => /^error.*what the outside table says now/.test(line)).length;
  const [hold] = await until("the hold", () => {
    const holds = daemon.holding.directory.findHolds("ann");
    return holds.length > 0 ? holds : undefined;
  });
  // What has expired is looked for each second.
  const hasPassed = (): boolean => Date.now() > (hold?.deadlineMs ?? 0) + 1_500;
  await until("three alarms past the deadline", () => (alarms() >= 3 && hasPassed() ? true : undefined));
  assert.deepEqual([daemon.holding.moves.show(moveId)?.doing, heldBy(daemon, "ann")], ["reading-outside", 1]);
  assert.equal((await daemon.holding.moves.cancel(moveId, OPERATOR)).kind, "refused");
  assert.match(daemon.holding.moves.show(moveId)?.trouble ?? "", /^what the outside table says now/);
  source.onRead = () => false;
  const ended = await daemon.ended(moveId);
  assert.deepEqual([ended.phase, ended.trouble], ["done", undefined]);
});

test("a third value holds the user until somebody has made it right", async (t) => {
  const { daemon, source } = await given<UrlSource>(t, SOURCES.url);
  source.onWrite = (_apply, response) => {
    source.set("ann", "elsewhere");
    response.writeHead(204).end();
    return true;
  };
  const moveId = await daemon.move("ann", "new");
  await until("the alarm", () =>
    daemon.said.find((line) => line.includes('"elsewhere": make it say "new", to go on, or "old", to go back')),
  );
  assert.equal(heldBy(daemon, "ann"), 1);
  source.set("ann", "new");
  assert.equal((await daemon.ended(moveId)).phase, "done");
});

test("a reload without write_through in the middle says what is missing, and the move goes on when it is back", async (t) => {
  const { daemon, source, options } = await given<UrlSource>(t, SOURCES.url);
  source.onWrite = (apply, response) => {
    apply();
    response.destroy();
    source.onRead = (reading) => {
      reading.writeHead(503).end();
      return true;
    };
    return true;
  };
  const moveId = await daemon.move("ann", "new");
  await until("the write", () => (source.asked.includes("POST") ? true : undefined));
  await daemon.reload({ ...options, isAuthority: false });
  source.onRead = () => false;
  await until("the alarm", () =>
    daemon.said.find((line) => line.includes("this move needs directory.write_through, which is no longer configured")),
  );
  await daemon.reload(options);
  assert.equal((await daemon.ended(moveId)).phase, "done");
  assert.equal(source.get("ann"), "new");
});
