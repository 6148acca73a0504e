import assert from "node:assert/strict";
import type { Answer, Change, WriteOutcome } from "../../src/tables/table.ts";
import type { GuardedSource } from "../../src/tables/wrappers/guarded-source.ts";
import { ODD_KEYS, ODD_VALUES, openForContract } from "./table-contract-parts.ts";
import type { ContractTest, TableContract } from "./table-contract-parts.ts";

const START: ReadonlyMap<string, string> = new Map([
  ["user1@example.com", "old"],
  ["count", "5"],
]);

const set = (key: string, value: string): Change => ({ kind: "set", key, value });
const unset = (key: string): Change => ({ kind: "unset", key });
const increment = (key: string, by: bigint): Change => ({ kind: "increment", key, by });
const found = (value: string): Answer => ({ kind: "found", value });
const ABSENT: Answer = { kind: "absent" };

function write(table: GuardedSource, ...changes: readonly Change[]): Promise<WriteOutcome> {
  assert.ok(table.write);
  return table.write(changes);
}

/** For types that write: part of `testTableContract`. */
export function testWrites(contract: TableContract, contractTest: ContractTest): void {
  contractTest("what is set is found, in place of what was there", async (t) => {
    const { table } = await openForContract(contract, t, START);
    assert.deepEqual(await write(table, set("user2@example.com", "new")), { kind: "done" });
    assert.deepEqual(await table.lookup("user2@example.com"), found("new"));
    assert.deepEqual(await write(table, set("user1@example.com", "new")), { kind: "done" });
    assert.deepEqual(await table.lookup("user1@example.com"), found("new"));
    assert.deepEqual(await table.lookup("count"), found("5"));
  });

  contractTest("what is unset is absent, and so may be what never was", async (t) => {
    const { table } = await openForContract(contract, t, START);
    assert.deepEqual(await write(table, unset("user1@example.com")), { kind: "done" });
    assert.deepEqual(await table.lookup("user1@example.com"), ABSENT);
    assert.deepEqual(await write(table, unset("never@example.com")), { kind: "done" });
    assert.deepEqual(await table.lookup("count"), found("5"));
  });

  contractTest("several changes take effect in their order", async (t) => {
    const { table } = await openForContract(contract, t, START);
    const changes = [
      set("a", "1"),
      set("a", "2"),
      set("b", "1"),
      unset("b"),
      unset("user1@example.com"),
      set("user1@example.com", "new"),
    ];
    assert.deepEqual(await write(table, ...changes), { kind: "done" });
    assert.deepEqual(await table.lookup("a"), found("2"));
    assert.deepEqual(await table.lookup("b"), ABSENT);
    assert.deepEqual(await table.lookup("user1@example.com"), found("new"));
    assert.deepEqual(await write(table), { kind: "done" });
  });

  contractTest("odd keys and values are written as they are, or not at all", async (t) => {
    const { table } = await openForContract(contract, t, START);
    for (const key of ODD_KEYS) {
      const outcome = await write(table, set(key, "odd"));
      const mustHold = contract.holdsKeys?.(key) ?? false;
      const isDone = outcome.kind === "done";
      assert.ok(isDone || !mustHold, `${JSON.stringify(key.slice(0, 40))}: ${JSON.stringify(outcome)}`);
      assert.equal((await table.lookup(key)).kind === "found", isDone, JSON.stringify(key.slice(0, 40)));
      if (isDone) assert.deepEqual(await write(table, unset(key)), { kind: "done" });
    }
    for (const value of ODD_VALUES) {
      const outcome = await write(table, set("a", value));
      const mustHold = contract.holdsValues?.(value) ?? false;
      assert.ok(outcome.kind === "done" || !mustHold, JSON.stringify(outcome));
      if (outcome.kind === "done") assert.deepEqual(await table.lookup("a"), found(value));
    }
    assert.deepEqual(await table.lookup("user1@example.com"), found("old"));
    assert.deepEqual(await table.lookup("count"), found("5"));
  });

  if (contract.increments) {
    contractTest("increments count, however many there are at once", async (t) => {
      const { table } = await openForContract(contract, t, START);
      assert.deepEqual(await write(table, increment("count", 2n)), { kind: "done" });
      assert.deepEqual(await table.lookup("count"), found("7"));
      assert.deepEqual(await write(table, increment("count", -10n)), { kind: "done" });
      assert.deepEqual(await table.lookup("count"), found("-3"));
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => write(table, increment("count", 1n))));
      assert.deepEqual(
        outcomes,
        outcomes.map(() => ({ kind: "done" })),
      );
      assert.deepEqual(await table.lookup("count"), found("47"));
      // Beyond what a floating-point number counts exactly.
      assert.deepEqual(await write(table, increment("count", 9_007_199_254_740_993n)), { kind: "done" });
      assert.deepEqual(await table.lookup("count"), found("9007199254741040"));
    });

    contractTest("an increment of nothing is absent, and nothing beside it is written", async (t) => {
      const { table } = await openForContract(contract, t, START);
      assert.deepEqual(await write(table, increment("never", 1n)), ABSENT);
      assert.deepEqual(await table.lookup("never"), ABSENT);
      assert.deepEqual(await write(table, set("a", "1"), increment("never", 1n), set("b", "1")), ABSENT);
      for (const key of ["a", "b", "never"]) assert.deepEqual(await table.lookup(key), ABSENT);
    });

    contractTest("an increment sees what stands before it", async (t) => {
      const { table } = await openForContract(contract, t, START);
      assert.deepEqual(await write(table, set("a", "1"), increment("a", 1n)), { kind: "done" });
      assert.deepEqual(await table.lookup("a"), found("2"));
    });

    contractTest("what is no number is not counted", async (t) => {
      const { table } = await openForContract(contract, t, START);
      assert.equal((await write(table, increment("user1@example.com", 1n))).kind, "failed");
      assert.deepEqual(await table.lookup("user1@example.com"), found("old"));
    });
  } else
    contractTest("an increment has failed, and nothing beside it is written", async (t) => {
      const { table } = await openForContract(contract, t, START);
      assert.equal((await write(table, set("a", "1"), increment("count", 1n))).kind, "failed");
      assert.deepEqual(await table.lookup("a"), ABSENT);
      assert.deepEqual(await table.lookup("count"), found("5"));
    });

  if (contract.neverBreaks) return;
  contractTest("a write to what is broken is not done", async (t) => {
    const { contractSource, table } = await openForContract(contract, t, START);
    assert.ok(contractSource.break);
    await contractSource.break();
    const outcome = await write(table, set("user1@example.com", "new"));
    assert.ok(outcome.kind === "failed" || outcome.kind === "uncertain", JSON.stringify(outcome));
    assert.notEqual(outcome.reason, "");
  });
}
