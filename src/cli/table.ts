import { EXIT } from "../core/exit-codes.ts";
import { CommandFault } from "./command-io.ts";
import type { CommandIo } from "./command-io.ts";
import { withTable } from "./config-tables.ts";
import type { OpenedTable, WithTable } from "./config-tables.ts";

type Change = Parameters<NonNullable<OpenedTable["write"]>>[0][number];

export interface TableWriteOptions {
  readonly path: string;
  readonly table: string;
  readonly change: Change;
}

/**
 * `mailshunt table set` and `unset`. The key is taken as it is, without the table's `key:` rules.
 * @returns 0 when it is written, 75 when it is not or may not be, 69 for a table that cannot be written; 64 for one that
 * there is not, 78 for a faulty file
 */
export async function runTableWrite({ path, table: name, change }: TableWriteOptions, io: CommandIo): Promise<number> {
  return withTable(path, name, io.stderr, async ({ table, config }) => {
    const { write } = table;
    if (write === undefined) throw new CommandFault(EXIT.unavailable, `table ${name} cannot be written`);
    const outcome = await write([change]);
    switch (outcome.kind) {
      case "done":
        tellOfCaches({ config, table }, io);
        return EXIT.ok;
      case "absent":
        throw new CommandFault(EXIT.tempFail, `${name} ${change.key}: there is none`);
      case "failed":
        throw new CommandFault(EXIT.tempFail, `${name} ${change.key}: not written: ${outcome.reason}`);
      case "uncertain":
        throw new CommandFault(EXIT.tempFail, `${name} ${change.key}: it may be written or not: ${outcome.reason}`);
    }
  });
}

/** This process has written past a daemon that may remember the old value. */
function tellOfCaches({ config, table }: WithTable, io: CommandIo): void {
  const cache = config.tables.get(table.name)?.common.cache;
  if (cache === undefined) return;
  const seconds = Math.ceil(Math.max(cache.ttlMs, cache.absentTtlMs) / 1000);
  io.stderr.write(`note: a running daemon may answer from its cache for ${seconds} s more; a reload makes it forget\n`);
}

export interface TableListOptions {
  readonly path: string;
  readonly isJson: boolean;
  readonly table: string;
  readonly prefix: string;
}

/**
 * `mailshunt table list`: each key with its value, where the source lists values.
 * @returns 0 when all are listed, 75 when it broke off, 69 for a table that cannot be listed; 64 for one that there is
 * not, 78 for a faulty file
 */
export async function runTableList(
  { path, isJson, table: name, prefix }: TableListOptions,
  io: CommandIo,
): Promise<number> {
  return withTable(path, name, io.stderr, async ({ table }) => {
    if (table.list === undefined) throw new CommandFault(EXIT.unavailable, `table ${name} cannot be listed`);
    try {
      for await (const page of table.list(prefix)) {
        if (io.stdout.destroyed === true) break;
        const entries = await Promise.all(page.map(async (entry) => withValue(entry, table)));
        const lines = entries.map((entry) =>
          isJson ? JSON.stringify(entry) : entry.value === undefined ? entry.key : `${entry.key}\t${entry.value}`,
        );
        if (lines.length > 0) io.stdout.write(`${lines.join("\n")}\n`);
      }
    } catch (error) {
      if (error instanceof Error && error.name === "TableFailure")
        throw new CommandFault(EXIT.tempFail, `${name}: the list is not complete: ${error.message}`);
      throw error;
    }
    return EXIT.ok;
  });
}

/** A source that lists names is asked for each value; where that fails, the name alone is shown. */
async function withValue(entry: Entry, table: OpenedTable): Promise<Entry> {
  if (entry.value !== undefined) return entry;
  const answer = await table.lookup(entry.key);
  return answer.kind === "found" ? { key: entry.key, value: answer.value } : entry;
}

interface Entry {
  readonly key: string;
  readonly value?: string;
}
