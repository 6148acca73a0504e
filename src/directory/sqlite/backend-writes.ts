import type { DatabaseSync } from "node:sqlite";
import type { BackendReads } from "../directory.ts";
import { guarded } from "./fault.ts";
import type { Act } from "./history-writes.ts";
import { prepareQuery } from "./query.ts";

export interface BackendWriter {
  setBackendDisabled(backend: string, isDisabled: boolean, act: Act): boolean;
}

export function createBackendWriter(db: DatabaseSync): BackendWriter {
  const disable = db.prepare(
    "INSERT INTO disabled_backends (backend, since_ms, who, why) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const enable = db.prepare("DELETE FROM disabled_backends WHERE backend = ?");
  return {
    setBackendDisabled(backend, isDisabled, { atMs, who, why }) {
      const { changes } = isDisabled ? disable.run(backend, atMs, who, why) : enable.run(backend);
      return Number(changes) > 0;
    },
  };
}

export function createBackendReads(db: DatabaseSync, path: string): BackendReads {
  const disabled = prepareQuery<[backend: string, sinceMs: number, who: string, why: string]>(
    db,
    "SELECT backend, since_ms, who, why FROM disabled_backends ORDER BY backend",
  );
  return {
    disabled: () =>
      guarded(path, () => disabled.all().map(([backend, sinceMs, who, why]) => ({ backend, sinceMs, who, why }))),
  };
}
