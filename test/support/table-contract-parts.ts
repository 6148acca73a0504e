import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Clock } from "../../src/core/clock.ts";
import type { GuardOptions } from "../../src/tables/options.ts";
import type { Answer, Table } from "../../src/tables/table.ts";
import type { TableType } from "../../src/tables/table-type.ts";
import { openType } from "./open-type.ts";
import type { OpenedType, RawOptions } from "./open-type.ts";

export interface ContractSource {
  /** What stands below `type:` in a file, as objects, arrays and text. */
  readonly options: RawOptions;
  /** For types that ask other tables. */
  readonly others?: ReadonlyMap<string, Table>;
  /** Makes the source fail: stops the server, removes the file. Must be there unless `neverBreaks`. */
  readonly break?: () => void | Promise<void>;
  /** Brings it back with the entries that it had. */
  readonly repair?: () => void | Promise<void>;
}

export interface TableContract {
  /** Stands before the name of each test. */
  readonly name: string;
  readonly type: TableType;
  /** Starts a source with exactly these entries. It ends with the test: use `t.after`. */
  readonly start: (t: TestContext, entries: ReadonlyMap<string, string>) => ContractSource | Promise<ContractSource>;
  /** Where the default ones cannot be had, as in DNS: two at least, of which none begins with `absent`. */
  readonly entries?: ReadonlyMap<string, string>;
  /** A key that no source has. Default `absent@example.net`. */
  readonly absentKey?: string;
  /** Which of `ODD_KEYS` the source can have as keys: then they are put and must be found. None by default. */
  readonly holdsKeys?: (key: string) => boolean;
  /** Likewise for `ODD_VALUES`. */
  readonly holdsValues?: (value: string) => boolean;
  /** The source itself takes keys as equal that differ in blanks around them, as SQL's CHAR and LDAP do. */
  readonly ignoresBlanks?: boolean;
  /** The system's, by default. */
  readonly clock?: Clock;
  /** There is nothing outside the process that could fail. */
  readonly neverBreaks?: boolean;
  /** Once opened it answers in the same turn. */
  readonly answersAtOnce?: boolean;
  /** What it has read it goes on answering with while its source is broken, as a file does. */
  readonly keepsContent?: boolean;
  readonly writes?: boolean;
  /** Only with `writes`. Without it an increment must be `failed`. */
  readonly increments?: boolean;
  readonly lists?: boolean;
  /** It lists keys alone. */
  readonly listsKeysOnly?: boolean;
}

export const ENTRIES: ReadonlyMap<string, string> = new Map([
  ["user1@example.com", "old"],
  ["user2@example.com", "new"],
  ["user3", "hold"],
  ["example.org", "lmtp:inet:10.0.0.1:24"],
]);

/** Longer than any address, shorter than Postfix's longest query: 10000 bytes (socketmap_max_query_size). */
const LONG = "k".repeat(9_990);

/** Keys that some source has taken for something else. None is found unless it was put there. */
export const ODD_KEYS: readonly string[] = [
  "",
  " ",
  "*",
  "%",
  "_",
  "?",
  "§",
  "{}",
  "$1",
  "%s",
  "%40",
  ".",
  "..",
  "../../etc/passwd",
  "a/b",
  "a//b",
  "?a=b&c=d#e",
  '"odd user"@example.com',
  "odd user@example.com",
  "it's",
  "' OR '1'='1",
  "'; DROP TABLE users; --",
  "\\",
  "*)(uid=*",
  "a,b",
  "a:b",
  "a\tb",
  "line\nline",
  "line\r\nGET other",
  "nul\0nul",
  "müller@exämple.com",
  "𝄞@example.com",
  // A byte that is no UTF-8: see `src/wire/text.ts`.
  "\udcff\udc80",
  "__proto__",
  "constructor",
  "-1",
  "null",
  LONG,
];

/** Values that some source has changed on their way. */
export const ODD_VALUES: readonly string[] = [
  "",
  " ",
  " blanks around ",
  "a,b",
  "a\tb",
  "line\nline\r\n",
  "quotes \" and ' and \\",
  "$1 %s {} {value} § %20",
  '{"json":[1,null]}',
  "null",
  "0123",
  "1e3",
  "nul\0nul",
  "müller 𝄞",
  "\udcff\udc80",
  "v".repeat(60_000),
];

/** What does not answer within this is broken. */
export const GUARD: GuardOptions = {
  timeoutMs: 10_000,
  maxInFlight: 100,
  breaker: { failures: 1_000_000, minBackoffMs: 1, maxBackoffMs: 1 },
};
export const IMPATIENT: GuardOptions = { ...GUARD, timeoutMs: 1_000 };

export interface Opened extends OpenedType {
  readonly contractSource: ContractSource;
}

export async function openForContract(
  contract: TableContract,
  t: TestContext,
  entries: ReadonlyMap<string, string>,
): Promise<Opened> {
  const contractSource = await contract.start(t, entries);
  return { ...open(contract, t, contractSource, GUARD), contractSource };
}

export function open(
  { type, clock }: TableContract,
  t: TestContext,
  given: ContractSource,
  guard: GuardOptions,
): OpenedType {
  const opened = openType(type, given.options, {
    guard,
    ...(clock && { clock }),
    ...(given.others && { others: given.others }),
  });
  t.after(() => opened.table.close());
  return opened;
}

export type ContractTest = (what: string, run: (t: TestContext) => Promise<void>) => void;

export function assertFailed(answer: Answer): void {
  assert.equal(answer.kind, "failed");
  if (answer.kind === "failed") assert.notEqual(answer.reason, "");
}
