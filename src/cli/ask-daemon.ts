import type { AdminClient } from "../admin/client.ts";
import { DEFAULT_CONFIG } from "../config/default-files.ts";
import { EXIT } from "../core/exit-codes.ts";
import { DEFAULT_ADMIN } from "./admin-commands.ts";
import type { CommandIo } from "./command-io.ts";

export interface SourceFlags {
  /** Undefined: the running daemon is asked. */
  readonly config?: string;
  /** Undefined: where daemons listen by default; then the default file will do, too. */
  readonly admin?: string;
  readonly tokenFile?: string;
}

/** The two who can tell: the running daemon and a file. */
export interface Sources {
  readonly askDaemon: (client: AdminClient) => Promise<number>;
  readonly askFile: (path: string) => Promise<number>;
}

/**
 * Asks the running daemon, unless a file is named; where no daemon answers and none was named, the default file. Which of
 * them it was is said on stderr, but for a file that the command line names.
 * @returns what was returned by the one that was asked; 64 for a command line that names both
 */
export async function askDaemonOrFile(
  { config, admin, tokenFile }: SourceFlags,
  io: CommandIo,
  { askDaemon, askFile }: Sources,
): Promise<number> {
  if (config !== undefined && admin !== undefined) {
    io.stderr.write("mailshunt: give --config to ask a file or --admin to ask a daemon, not both\n");
    return EXIT.usage;
  }
  if (config !== undefined) return askFile(config);
  // Loaded for those alone who need them: a file is read sooner.
  const { AdminUnreachable } = await import("../admin/client.ts");
  const { withAdmin } = await import("./admin/with-admin.ts");
  const flags = { admin: admin ?? DEFAULT_ADMIN, ...(tokenFile === undefined ? {} : { tokenFile }) };
  const found = await withAdmin(flags, io, async (client): Promise<number> => {
    try {
      // Of no answer is known that nothing was said yet.
      await client.ask("GET", "/v1/backends");
    } catch (error) {
      if (admin !== undefined || !(error instanceof AdminUnreachable)) throw error;
      io.stderr.write(`mailshunt: no daemon to ask: ${error.message}\nmailshunt: asking ${DEFAULT_CONFIG} instead\n`);
      return NO_DAEMON;
    }
    io.stderr.write(`mailshunt: asking the daemon at ${client.address}\n`);
    return askDaemon(client);
  });
  return found === NO_DAEMON ? askFile(DEFAULT_CONFIG) : found;
}

/** No exit code. */
const NO_DAEMON = -1;
