import assert from "node:assert/strict";
import { TableFailure } from "../../src/tables/table.ts";
import type { GuardedSource } from "../../src/tables/wrappers/guarded-source.ts";
import { IMPATIENT, open, openForContract } from "./table-contract-parts.ts";
import type { ContractTest, TableContract } from "./table-contract-parts.ts";

/** For types that list: part of `testTableContract`. */
export function testLists(contract: TableContract, contractTest: ContractTest): void {
  const many = new Map(Array.from({ length: 1_500 }, (_, number) => [`many/${number}`, `value${number}`]));
  const some = new Map([
    ["some/a", "1"],
    ["some/b", "2"],
    ["some%", "3"],
    ["some_", "4"],
    ["some*", "5"],
    ["SOME/c", "6"],
    ["other", "7"],
  ]);

  contractTest("it lists what begins with the prefix, everything once", async (t) => {
    const { table } = await openForContract(contract, t, new Map([...some, ...many]));
    for (const prefix of ["", "some", "some/", "some/a", "some%", "some_", "some*", "many/", "many/149", "nothing"]) {
      const wanted = [...some, ...many].filter(([key]) => key.startsWith(prefix));
      const listed = (await listAll(table, prefix)).map(([key, value]) => [
        key,
        contract.listsKeysOnly ? undefined : value,
      ]);
      assert.deepEqual(
        listed.sort(byKey),
        wanted.map(([key, value]) => [key, contract.listsKeysOnly ? undefined : value]).sort(byKey),
      );
    }
  });

  contractTest("a list may be left early", async (t) => {
    const { table } = await openForContract(contract, t, many);
    assert.ok(table.list);
    for await (const page of table.list("many/")) {
      assert.ok(page.length > 0);
      break;
    }
    assert.equal((await table.lookup("many/1")).kind, "found");
  });

  if (contract.neverBreaks) return;
  contractTest("a list that breaks is no short list", async (t) => {
    const contractSource = await contract.start(t, some);
    assert.ok(contractSource.break);
    await contractSource.break();
    const { table } = open(contract, t, contractSource, IMPATIENT);
    await assert.rejects(listAll(table, ""), TableFailure);
  });
}

type Listed = [key: string, value: string | undefined];

const byKey = ([a = ""]: readonly (string | undefined)[], [b = ""]: readonly (string | undefined)[]): number =>
  a < b ? -1 : a > b ? 1 : 0;

export async function listAll(table: Pick<GuardedSource, "list">, prefix: string): Promise<Listed[]> {
  assert.ok(table.list);
  const pages = await Array.fromAsync(table.list(prefix));
  return pages.flat().map(({ key, value }): Listed => [key, value]);
}
