import { setImmediate as turn } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import type { UserEntry, UserFilter, UserReads } from "../directory.ts";
import { guarded } from "./fault.ts";
import { prepareQuery } from "./query.ts";
import { pageLimit } from "./rows.ts";
import { rangeOf } from "./text-range.ts";

export function createUserReads(db: DatabaseSync, path: string): UserReads {
  const page = prepareQuery<[string, string]>(
    db,
    `SELECT users.user, backends.name FROM users JOIN backends ON backends.id = users.backend
     WHERE users.user >= ? AND users.user < ? ORDER BY users.user LIMIT ?`,
  );
  const pageOfBackend = prepareQuery<[string, string]>(
    db,
    `SELECT user, ?1 FROM users
     WHERE backend = (SELECT id FROM backends WHERE name = ?1) AND user >= ? AND user < ? ORDER BY user LIMIT ?`,
  );
  const counts = prepareQuery<[string, number]>(
    db,
    "SELECT name, user_count FROM backends WHERE user_count > 0 ORDER BY name",
  );

  function list({ backend, prefix = "", after, limit }: UserFilter = {}): UserEntry[] {
    const { first, end } = rangeOf(prefix, after);
    const rows = guarded(path, () =>
      backend === undefined
        ? page.all(first, end, pageLimit(limit))
        : pageOfBackend.all(backend, first, end, pageLimit(limit)),
    );
    return rows.map(([user, backend]) => ({ user, backend }));
  }

  return {
    list,
    async *all(filter = {}) {
      for (let last: UserEntry | undefined; ;) {
        const entries = list(last === undefined ? filter : { ...filter, after: last.user });
        yield* entries;
        last = entries.at(-1);
        if (last === undefined || entries.length < pageLimit(undefined)) return;
        await turn();
      }
    },
    countByBackend: () => new Map(guarded(path, () => counts.all())),
  };
}
