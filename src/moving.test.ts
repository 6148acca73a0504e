import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import * as v from "valibot";
import { newMove } from "../test/support/directory-contract-parts.ts";
import { scratchFolder } from "../test/support/scratch-folder.ts";
import { backendSchema, toBackendOptions } from "./backends/options.ts";
import type { Config } from "./config/config.ts";
import { openDirectory } from "./directory/open-directory.ts";
import { movesAgainst } from "./moving.ts";

const backends = (given: Readonly<Record<string, Readonly<Record<string, unknown>>>>): Config["backends"] =>
  new Map(
    Object.entries(given).map(([name, options]) => [
      name,
      toBackendOptions(name, v.parse(backendSchema, new Map(Object.entries(options))), undefined),
    ]),
  );

const imap = (address: string): ReadonlyMap<string, string> => new Map([["address", address]]);
const OLD = { lmtp: "127.0.0.1:24", imap: imap("10.0.0.1:143") };
const NEW = { lmtp: "127.0.0.2:24", imap: imap("10.0.0.2:143") };

test("a reload does not lead a move astray", async (t) => {
  await using stack = new AsyncDisposableStack();
  const directory = await openDirectory({ store: { kind: "sqlite", path: join(scratchFolder(t), "directory.db") } });
  stack.defer(() => directory.close());
  const before = backends({ old: OLD, new: NEW });
  const against = (next: Parameters<typeof backends>[0]): readonly string[] =>
    movesAgainst(directory, before, backends(next));
  assert.deepEqual(against({}), []);
  await directory.moves.create([newMove("m1", "ann")], { who: "admin", why: "" });
  const elsewhere = { old: OLD, new: { ...NEW, imap: imap("10.0.0.3:143") } };
  assert.deepEqual(against(elsewhere), [], "nothing has been copied yet");
  assert.match(against({ old: OLD })[0] ?? "", /^backend "new" is needed by move m1 of ann/);
  await directory.moves.append("m1", { entryJson: "{}", state: "pre-sync", isActive: true });
  assert.match(against(elsewhere)[0] ?? "", /^backend "new" has another address here, and move m1 of ann is under way/);
  assert.equal(against({ old: { ...OLD, lmtp: "127.0.0.9:24" }, new: NEW }).length, 1);
  assert.deepEqual(against({ old: { ...OLD, max_connections: "3" }, new: NEW, more: OLD }), []);
});
