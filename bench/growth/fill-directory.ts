import { systemClock } from "../../src/core/clock.ts";
import type { UserEntry } from "../../src/directory/directory.ts";
import { openDirectory } from "../../src/directory/open-directory.ts";

/**
 * Puts users into the directory of a daemon that does not run: user0 and on, as our generator calls them.
 * @param from those before are there already
 */
export async function fillDirectory(path: string, from: number, to: number): Promise<void> {
  const directory = await openDirectory({ store: { kind: "sqlite", path } }, systemClock);
  try {
    await directory.users.import(newUsers(from, to), { author: { who: "bench", why: "bench" }, dryRun: false });
  } finally {
    await directory.close();
  }
}

function* newUsers(from: number, to: number): Generator<UserEntry> {
  for (let user = from; user < to; user += 1) yield { user: `user${user}`, backend: "b0" };
}
