import { readFileSync } from "node:fs";
import { AdminRefused, AdminUnreachable, connectAdmin } from "../../admin/client.ts";
import type { AdminClient } from "../../admin/client.ts";
import { EXIT } from "../../core/exit-codes.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo } from "../command-io.ts";

/** What every command that speaks with a running daemon may be given. */
export interface AdminFlags {
  readonly admin: string;
  readonly tokenFile?: string;
}

/**
 * Connects to the daemon for one command.
 * @returns what `act` returns; 69 where no daemon answers, 75 where it cannot do it now, 64 where it refuses
 */
export async function withAdmin(
  flags: AdminFlags,
  { stderr }: CommandIo,
  act: (client: AdminClient) => Promise<number>,
): Promise<number> {
  let client: AdminClient | undefined;
  try {
    client = connectAdmin(flags.admin, readToken(flags.tokenFile));
    return await act(client);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode === undefined || !(error instanceof Error)) throw error;
    stderr.write(`mailshunt: ${error.message}\n`);
    return exitCode;
  } finally {
    await client?.close();
  }
}

export function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof CommandFault) return error.exitCode;
  if (error instanceof AdminUnreachable) return EXIT.unavailable;
  if (!(error instanceof AdminRefused)) return undefined;
  if (error.status === 503 || error.status === 409) return EXIT.tempFail;
  return error.status >= 500 && error.status !== 501 ? EXIT.software : EXIT.usage;
}

function readToken(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CommandFault(EXIT.noInput, `cannot read ${path}: ${error instanceof Error ? error.message : ""}`);
  }
}

/** `3.2 s`, `4 min`: the larger of two units is enough for a reader. */
export function formatAge(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 86_400_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${Math.round(ms / 86_400_000)} d`;
}

/** Columns as wide as they need, two blanks between. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((found, row) => {
    for (const [at, cell] of row.entries()) found[at] = Math.max(found[at] ?? 0, cell.length);
    return found;
  }, []);
  return rows
    .map(
      (row) => `${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join("  ")}\n`,
    )
    .join("");
}
