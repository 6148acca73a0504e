import { CYRUS_PACKAGES } from "../support/cyrus.ts";
import { ensurePackages } from "../support/debian-packages.ts";
import { DOVECOT_PACKAGES } from "../support/dovecot.ts";
import { POSTFIX_PACKAGES } from "../support/postfix.ts";

/**
 * Installs the real mail servers where that is allowed.
 * @returns why the suite cannot run here, or false: what `skip` of node:test takes
 */
export const whyNoServers = (): Promise<string | false> =>
  whyNot([...POSTFIX_PACKAGES, ...DOVECOT_PACKAGES, ...CYRUS_PACKAGES]);

/** Likewise for other packages. */
export async function whyNot(packages: readonly string[]): Promise<string | false> {
  const answer = await ensurePackages(packages);
  if (answer.kind === "missing") return `missing Debian packages: ${answer.packages.join(", ")} (${answer.reason})`;
  if (process.geteuid?.() !== 0) return "the servers start as root only";
  return false;
}

export interface Started {
  /** Remembers a server from the moment it is up. */
  add<Server extends { stop(): Promise<void> }>(starting: Promise<Server>): Promise<Server>;
  /** Stops all of them, last first, and reports every failure. */
  stop(): Promise<void>;
}

export function createStarted(): Started {
  const stops: (() => Promise<void>)[] = [];
  let isOver = false;
  return {
    async add(starting) {
      const server = await starting;
      // Another server failed to start meanwhile, and the suite is over.
      if (isOver) await server.stop();
      stops.push(() => server.stop());
      return server;
    },
    async stop() {
      isOver = true;
      const ended = await Promise.allSettled(
        stops
          .splice(0)
          .toReversed()
          .map((stop) => stop()),
      );
      const failures = ended.flatMap((end) => (end.status === "rejected" ? [String(end.reason)] : []));
      if (failures.length > 0) throw new AggregateError(failures, "a server did not stop cleanly");
    },
  };
}
