import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { AdminCutOff, AdminRefused, AdminUnreachable, connectAdmin } from "../../admin/client.ts";
import type { AdminClient } from "../../admin/client.ts";
import { MOVED_ELSEWHERE } from "../../admin/problem.ts";
import { parseEndpoint } from "../../core/endpoint.ts";
import { EXIT } from "../../core/exit-codes.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo, TextOutput } from "../command-io.ts";
import { shown } from "./format.ts";

export { formatAge, formatTable } from "./format.ts";

/** What every command that speaks with a running daemon may be given. */
export interface AdminFlags {
  readonly admin: string;
  readonly tokenFile?: string;
}

/**
 * Connects to the daemon for one command.
 * @returns what `act` returns; 69 where no daemon answers, 75 where it cannot do it now or went away, 64 where it refuses
 */
export async function withAdmin(
  flags: AdminFlags,
  { stderr }: CommandIo,
  act: (client: AdminClient) => Promise<number>,
): Promise<number> {
  let client: AdminClient | undefined;
  const impatience = tellIfSlow(flags.admin, stderr);
  try {
    client = connectAdmin(addressOf(flags.admin), readToken(flags.tokenFile), () => clearTimeout(impatience));
    return await act(client);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode === undefined || !(error instanceof Error)) throw error;
    stderr.write(`mailshunt: ${error.message}\n`);
    return exitCode;
  } finally {
    clearTimeout(impatience);
    await client?.close();
  }
}

/** After which somebody at a terminal wants to know that it is not the command that hangs, in ms. */
const SLOW_MS = 5_000;

function tellIfSlow(address: string, stderr: TextOutput): NodeJS.Timeout | undefined {
  if (!("isTTY" in stderr) || stderr.isTTY !== true) return undefined;
  const tell = (): void =>
    void stderr.write(`mailshunt: ${address}: no answer yet: the daemon starts, has much to do, or hangs\n`);
  return setTimeout(tell, SLOW_MS);
}

/** On a command line the path of a socket may be relative. */
function addressOf(given: string): string {
  const address = given.startsWith("unix:") ? `unix:${resolve(given.slice("unix:".length))}` : given;
  const parsed = parseEndpoint(address);
  if (parsed.kind === "ok") return address;
  const hint = /^[./]/.test(given) ? `; did you mean "unix:${resolve(given)}"?` : "";
  throw new CommandFault(EXIT.usage, `--admin: ${parsed.reason}${hint}`);
}

/**
 * Does the same for each user or move: what the daemon refuses for one is told, and the others have their turn.
 * @param atOnce how many are under way at a time
 * @returns 0, or the highest exit code of those that were refused
 */
export async function forEachNamed(
  names: readonly string[],
  { stderr }: CommandIo,
  act: (name: string) => Promise<number>,
  atOnce = 1,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const waiting = names.values();
  async function take(): Promise<void> {
    for (const name of waiting)
      try {
        // What the others have come to meanwhile must not be lost.
        const ended = await act(name);
        exitCode = Math.max(exitCode, ended);
      } catch (error) {
        const refused = exitCodeOf(error);
        // Without a daemon the others need not be tried.
        if (refused === undefined || !(error instanceof AdminRefused) || isAboutUs(error)) throw error;
        stderr.write(`mailshunt: ${shown(name)}: ${shown(error.message)}\n`);
        exitCode = Math.max(exitCode, refused);
      }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, names.length) }, take));
  return exitCode;
}

/** Whoever is not let in, or asks for what is not configured, need not ask again. */
const isAboutUs = ({ status }: AdminRefused): boolean => status === 401 || status === 501;

export function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof CommandFault) return error.exitCode;
  if (error instanceof AdminUnreachable) return EXIT.unavailable;
  if (error instanceof AdminCutOff) return EXIT.tempFail;
  if (!(error instanceof AdminRefused)) return undefined;
  // To try again later does not help.
  if (error.title === MOVED_ELSEWHERE) return EXIT.usage;
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
