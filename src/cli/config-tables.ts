import type { Config } from "../config/config.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { loadConfig } from "../config/load.ts";
import { didYouMean } from "../core/closest-name.ts";
import { EXIT } from "../core/exit-codes.ts";
import { openTablesOf } from "../daemon.ts";
import { CommandFault } from "./command-io.ts";
import type { TextOutput } from "./command-io.ts";

export type OpenedTable =
  ReturnType<typeof openTablesOf>["ruled"] extends ReadonlyMap<string, infer Table> ? Table : never;

export interface WithTable {
  readonly config: Config;
  readonly table: OpenedTable;
}

/**
 * Opens the tables of a configuration file for one command, and closes them after it.
 * @returns what `act` returns; 64 if there is no such table, 78 for a faulty file
 */
export async function withTable(
  path: string,
  name: string,
  err: TextOutput,
  act: (opened: WithTable) => Promise<number>,
): Promise<number> {
  const loaded = await loadConfig(path, { takesPipe: true });
  if (loaded.kind === "faulty") {
    err.write(loaded.faults.map(formatFault).join("") + countFaults(path, loaded.faults));
    return EXIT.config;
  }
  const { config } = loaded;
  const tables = openTablesOf(config, (level, text) => {
    if (level === "error" || level === "warning") err.write(`${text}\n`);
  });
  const table = tables.ruled.get(name);
  try {
    if (table === undefined) {
      const known = [...tables.ruled.keys()].join(", ");
      const message = `${path} has no table "${name}"${didYouMean(name, tables.ruled.keys()) || ":"} Known are ${known}`;
      err.write(`mailshunt: ${known === "" ? `${path} has no tables` : message}\n`);
      return EXIT.usage;
    }
    return await act({ config, table });
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error;
    err.write(`mailshunt: ${error.message}\n`);
    return error.exitCode;
  } finally {
    await tables.close();
  }
}
