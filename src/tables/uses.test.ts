import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { scripted, scriptedType, typesWith } from "../../test/support/scripted-type.ts";
import { openTables } from "./open-tables.ts";
import type { TableSet } from "./open-tables.ts";
import { DEFAULT_GUARD } from "./options.ts";
import type { KeyRules } from "./options.ts";
import { ABSENT } from "./table.ts";
import type { Answer } from "./table.ts";

const KEY: KeyRules = { fold: "domain", recipientDelimiter: "", forms: ["address", "localpart"] };

/** A source that has `user`, lists two pages, and answers nothing before the test lets it or once it is closed. */
function start(): { readonly tables: TableSet; readonly waiting: (() => void)[]; readonly events: string[] } {
  const waiting: (() => void)[] = [];
  const events: string[] = [];
  let isClosed = false;
  const turn = (): Promise<void> =>
    new Promise((resolve, reject) =>
      waiting.push(() => (isClosed ? reject(new Error("asked after it was closed")) : resolve())),
    );
  const type = scriptedType("remote", () => ({
    async lookup(key): Promise<Answer> {
      await turn();
      return key === "user" ? { kind: "found", value: "v" } : ABSENT;
    },
    async *list() {
      for (const key of ["a", "b"]) {
        await turn();
        yield [{ key }];
      }
    },
    close() {
      isClosed = true;
      events.push("close");
    },
  }));
  const tables = openTables(new Map([["users", scripted("remote", "a", { guard: DEFAULT_GUARD, key: KEY })]]), {
    clock: createFakeClock(),
    types: typesWith({ remote: type }),
    say: () => undefined,
  });
  return { tables, waiting, events };
}

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("a table stays open for every form of a key that was asked before it was dropped", async () => {
  const { tables, waiting, events } = start();
  const answer = tables.ruled.get("users")?.lookup("user@example.com");
  const closed = tables.close();
  for (const at of [0, 1]) {
    await settle();
    assert.deepEqual(events, []);
    waiting[at]?.();
  }
  assert.deepEqual(await answer, { kind: "found", value: "v" });
  await closed;
  assert.deepEqual(events, ["close"]);
});

test("a table stays open for a list that was begun before it was dropped, and whatever is looked up for its rows", async () => {
  const { tables, waiting, events } = start();
  const users = tables.ruled.get("users");
  const pages = users?.list?.("")[Symbol.asyncIterator]();
  const first = pages?.next();
  const closed = tables.close();
  await settle();
  waiting[0]?.();
  assert.deepEqual((await first)?.value, [{ key: "a" }]);
  await settle();
  const row = users?.lookup("user");
  waiting[1]?.();
  assert.deepEqual(await row, { kind: "found", value: "v" });
  const second = pages?.next();
  waiting[2]?.();
  assert.deepEqual((await second)?.value, [{ key: "b" }]);
  await settle();
  assert.deepEqual(events, []);
  // Whoever has seen enough leaves it, too.
  await pages?.return?.();
  await closed;
  assert.deepEqual(events, ["close"]);
});
