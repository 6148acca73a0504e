/**
 * The one suite that every table type passes. In the type's test file:
 *
 *     testTableContract({
 *       name: "redis",
 *       type: REDIS,
 *       start: async (t, entries) => {
 *         const server = await startRedis(t);          // ends by t.after
 *         await server.fill(entries);                  // exactly these
 *         return { options: { server: server.address }, break: () => server.stop(), repair: () => server.start() };
 *       },
 *       holdsKeys: (key) => key !== "",                // which of ODD_KEYS it can have as keys
 *       holdsValues: () => true,                       // which of ODD_VALUES it can have as values
 *       writes: true, increments: true, lists: true,
 *     });
 *
 * `start` is called anew for each test. What is not said is not there: a type without `writes` must have no `write`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuardedSource } from "../../src/tables/wrappers/guarded-source.ts";
import { testLists } from "./table-contract-lists.ts";
import {
  assertFailed,
  ENTRIES,
  IMPATIENT,
  ODD_KEYS,
  ODD_VALUES,
  open,
  openForContract,
} from "./table-contract-parts.ts";
import type { ContractTest, TableContract } from "./table-contract-parts.ts";
import { testWrites } from "./table-contract-writes.ts";
import { until } from "./until.ts";

const ABSENT_KEY = "absent@example.net";

export { ODD_KEYS, ODD_VALUES } from "./table-contract-parts.ts";
export type { ContractSource, TableContract } from "./table-contract-parts.ts";

export function testTableContract(contract: TableContract): void {
  const { name, entries = ENTRIES, absentKey = ABSENT_KEY } = contract;
  const contractTest: ContractTest = (what, run) => void test(`${name}: ${what}`, run);

  contractTest("each key has its own value, and another one none", async (t) => {
    const { table } = await openForContract(contract, t, entries);
    for (const [key, value] of entries) assert.deepEqual(await table.lookup(key), { kind: "found", value });
    assert.deepEqual(await table.lookup(absentKey), { kind: "absent" });
    if (contract.answersAtOnce)
      for (const key of [...entries.keys(), absentKey]) assert.ok(!(table.lookup(key) instanceof Promise));
  });

  contractTest("an odd key is never found where it was not put, and blames no source", async (t) => {
    const { table } = await openForContract(contract, t, entries);
    const [known = ""] = entries.keys();
    const nearly = contract.ignoresBlanks ? [] : [`${known} `, ` ${known}`];
    const altered = [...nearly, `${known}\0`, `${known}\n`, `${known}'`, `${known}*`, `x${known}`, known.slice(0, -1)];
    for (const key of [...ODD_KEYS, ...altered]) {
      if (entries.has(key)) continue;
      const answer = await table.lookup(key);
      assert.notEqual(answer.kind, "found", JSON.stringify(key.slice(0, 40)));
      if (answer.kind !== "failed") continue;
      assertFailed(answer);
      assert.equal(answer.scope, undefined, `${JSON.stringify(key.slice(0, 40))}: ${answer.reason}`);
    }
    for (const [key, value] of entries) assert.deepEqual(await table.lookup(key), { kind: "found", value });
  });

  const heldKeys = ODD_KEYS.filter((key) => contract.holdsKeys?.(key));
  if (heldKeys.length > 0)
    contractTest("odd keys are found where they were put", async (t) => {
      const odd = new Map(heldKeys.map((key, number) => [key, `value${number}`]));
      const { table } = await openForContract(contract, t, odd);
      for (const [key, value] of odd)
        assert.deepEqual(await table.lookup(key), { kind: "found", value }, key.slice(0, 40));
    });

  const heldValues = ODD_VALUES.filter((value) => contract.holdsValues?.(value));
  if (heldValues.length > 0)
    contractTest("odd values come as they were put", async (t) => {
      const odd = new Map(heldValues.map((value, number) => [`key${number}`, value]));
      const { table } = await openForContract(contract, t, odd);
      for (const [key, value] of odd) assert.deepEqual(await table.lookup(key), { kind: "found", value });
    });

  contractTest("of many who ask at once each gets the answer to its own key", async (t) => {
    const { table } = await openForContract(contract, t, entries);
    const keys = Array.from({ length: 60 }, () => [...entries.keys(), absentKey]).flat();
    const answers = await Promise.all(keys.map(async (key) => table.lookup(key)));
    for (const [at, key] of keys.entries()) {
      const value = entries.get(key);
      assert.deepEqual(answers[at], value === undefined ? { kind: "absent" } : { kind: "found", value });
    }
  });

  contractTest("who gives up costs the next one nothing", async (t) => {
    const { source, table } = await openForContract(contract, t, entries);
    const [first = "", second = ""] = entries.keys();
    for (let round = 0; round < 5; round += 1) {
      const aborter = new AbortController();
      const givenUp = Promise.allSettled([(async () => source.lookup(first, aborter.signal))()]);
      // A round later each time, so that the abort comes in different states of the connection.
      for (let turn = 0; turn < round; turn += 1) await new Promise(setImmediate);
      aborter.abort();
      assert.deepEqual(await table.lookup(second), { kind: "found", value: entries.get(second) });
      const [late] = await givenUp;
      if (late.status === "fulfilled") assert.notEqual(late.value.kind, "absent");
    }
  });

  if (!contract.neverBreaks) testBreaks(contract, contractTest);

  contractTest("it closes, asked or not, and while something is under way", async (t) => {
    await openForContract(contract, t, entries);
    const { table } = await openForContract(contract, t, entries);
    const [known = ""] = entries.keys();
    const underWay = table.lookup(known);
    await table.close();
    assert.equal((await underWay).kind, "found");
  });

  if (contract.lists) testLists(contract, contractTest);
  else
    contractTest("it does not pretend to list", async (t) => {
      assert.equal((await openForContract(contract, t, entries)).table.list, undefined);
    });

  if (contract.writes) testWrites(contract, contractTest);
  else
    contractTest("it does not pretend to write", async (t) => {
      assert.equal((await openForContract(contract, t, entries)).table.write, undefined);
    });
}

function testBreaks(contract: TableContract, contractTest: ContractTest): void {
  const { entries = ENTRIES, absentKey = ABSENT_KEY } = contract;
  contractTest("what breaks is failed, never absent, and found again when it is back", async (t) => {
    const { contractSource, table } = await openForContract(contract, t, entries);
    const [known = ""] = entries.keys();
    assert.ok(contractSource.break);
    assert.equal((await table.lookup(known)).kind, "found");
    await contractSource.break();
    if (contract.keepsContent) {
      assert.equal((await table.lookup(known)).kind, "found");
      assert.equal((await table.lookup(absentKey)).kind, "absent");
      return;
    }
    const impatient = open(contract, t, contractSource, IMPATIENT).table;
    for (const asked of [table, impatient]) for (const key of [known, absentKey]) assertFailed(await asked.lookup(key));
    await contractSource.repair?.();
    for (const asked of [table, impatient]) await untilAnswered(asked, known, "found");
    assert.deepEqual(await table.lookup(absentKey), { kind: "absent" });
  });

  contractTest("what was out of reach when it was opened is failed until it is there", async (t) => {
    const contractSource = await contract.start(t, entries);
    assert.ok(contractSource.break);
    await contractSource.break();
    const { table } = open(contract, t, contractSource, IMPATIENT);
    const [known = ""] = entries.keys();
    for (const key of [known, absentKey]) assertFailed(await table.lookup(key));
    await contractSource.repair?.();
    await untilAnswered(table, known, "found");
    assert.deepEqual(await table.lookup(absentKey), { kind: "absent" });
  });
}

/** Until then it may fail, but not be absent. */
async function untilAnswered(table: GuardedSource, key: string, kind: "found"): Promise<void> {
  await until(`${key} is ${kind}`, async () => {
    const answer = await table.lookup(key);
    assert.notEqual(answer.kind, "absent");
    return answer.kind === kind ? answer : undefined;
  });
}
