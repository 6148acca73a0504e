import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Directory } from "../../src/directory/directory.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";
import { makeSqlSource, startStores } from "./outside-sources.ts";
import { OPERATOR, startOutside } from "./outside-setting.ts";

const FILES = ["directory.db", "directory.db-wal", "users.db"] as const;

/** What a kill would leave at this instant: a folder, and what the move was at. */
interface Snapshot {
  readonly folder: string;
  readonly at: string;
}

/** Looks at what would be left just before and just after each commit, which is all that a kill can leave. */
function watched(directory: Directory, look: (when: string) => void): Directory {
  const wrap = <Part extends object>(part: Part, name: string): Part =>
    new Proxy(part, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]): unknown => {
          look(`before ${name}.${String(key)}`);
          const result: unknown = Reflect.apply(value, target, given);
          if (!(result instanceof Promise)) return result;
          return result.then((done: unknown) => {
            look(`after ${name}.${String(key)}`);
            return done;
          });
        };
      },
    });
  return new Proxy(directory, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === "moves" || key === "holds" || key === "users") return wrap(value as object, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

for (const isRefused of [false, true])
  test(`killed at each instant of a move that ${isRefused ? "is refused by the table" : "is done"}, and started again`, async (t) => {
    const stores = scratchFolder(t);
    await startStores(t, stores);
    const folder = scratchFolder(t);
    const source = makeSqlSource(t, folder);
    source.set("ann", "old");
    if (isRefused) source.refuse();

    const snapshots = new Map<string, Snapshot>();
    let look: (when: string) => void = () => undefined;
    let isLooking = false;
    const options = { folder, stores, table: source.table };
    const daemon = await startOutside(t, options, (directory) => watched(directory, (when) => look(when)));
    const { directory } = daemon.holding;
    // From earlier times.
    await directory.users.set("ann", "old", OPERATOR);
    const { moves: running } = daemon.holding;
    look = (when) => {
      // Looking reads by the same way.
      if (isLooking) return;
      isLooking = true;
      const [move] = running.list();
      const details = move && running.show(move.id);
      const { backend = "no entry", holds } = directory.find("ann");
      const state = [details?.phase, details?.doing, details?.journal.length, backend, holds.length, source.get("ann")];
      const at = `${state.join(" ")} (${when})`;
      if (!snapshots.has(state.join(" "))) {
        const copy = join(folder, String(snapshots.size));
        mkdirSync(copy);
        for (const name of FILES)
          if (existsSync(join(folder, name))) copyFileSync(join(folder, name), join(copy, name));
        snapshots.set(state.join(" "), { folder: copy, at });
      }
      isLooking = false;
    };
    const whole = await daemon.ended(await daemon.move("ann", "new"));
    assert.equal(whole.phase, isRefused ? "rolled-back" : "done");
    await daemon.end();

    const ends = new Map<string, number>();
    for (const { folder: left, at } of snapshots.values()) {
      const copy = makeSqlSource(t, left);
      const next = await startOutside(t, { folder: left, stores, table: copy.table });
      const { moves, directory: kept } = next.holding;
      const story = (): string => [at, ...next.said].join("\n");
      await until("the end of the move", () => (moves.list({ isActive: true }).length === 0 ? true : undefined), {
        describe: story,
      });
      const [move] = moves.list();
      const end = move?.phase ?? "never planned";
      ends.set(end, (ends.get(end) ?? 0) + 1);
      const home = end === "done" ? "new" : "old";
      assert.equal(copy.get("ann"), home, story());
      const { backend, holds } = kept.find("ann");
      assert.deepEqual([backend, holds], [end === "done" ? undefined : "old", []], story());
      const route = await next.route("Ann+x@b.example");
      assert.equal(route.kind === "deliver" && route.backend, home, story());
      await next.end();
    }
    t.diagnostic(`${snapshots.size} instants, ends: ${[...ends].map(([end, count]) => `${count} ${end}`).join(", ")}`);
    t.diagnostic([...snapshots.keys()].join("; "));
    // The switch itself removes the entry.
    for (const { at } of snapshots.values()) if (/^(?:release|unlock|done) /.test(at)) assert.match(at, /no entry/);
    for (const doing of ["writing-outside", "reading-outside", ...(isRefused ? [] : ["committing-outside"])])
      assert.ok(
        [...snapshots.values()].some(({ at }) => at.includes(doing)),
        doing,
      );
    assert.ok((ends.get("rolled-back") ?? 0) > 0);
    if (!isRefused) assert.ok((ends.get("done") ?? 0) > 0);
  });
