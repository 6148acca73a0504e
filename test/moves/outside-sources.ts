import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ServerResponse } from "node:http";
import { startFakeBackend } from "../support/fake-backend.ts";
import type { FakeBackend } from "../support/fake-backend.ts";
import { startHttpStore } from "../support/http-store.ts";
import type { Scope } from "./outside-setting.ts";

/** For what a table is asked, in ms: a service on a busy machine takes its time. */
const SQL_TIMEOUT_MS = 1_000;
export const URL_TIMEOUT_MS = 3_000;

/** An outside table, as its administrator sees it. */
export interface OutsideSource {
  /** The table's options in a file, in braces. */
  readonly table: string;
  get(user: string): string | undefined;
  set(user: string, backend: string): void;
  /** It says no to every write. */
  refuse(): void;
}

/** @param options of the table, with a comma before */
export function makeSqlSource(t: Scope, folder: string, options = ""): OutsideSource {
  const path = join(folder, "users.db");
  const db = new DatabaseSync(path);
  t.after(() => db.close());
  db.exec("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, store TEXT NOT NULL)");
  const find = db.prepare("SELECT store FROM users WHERE name = ?");
  const put = db.prepare("INSERT OR REPLACE INTO users VALUES (?, ?)");
  return {
    table:
      `{ type: sql, driver: sqlite, file: "${path}", timeout: ${SQL_TIMEOUT_MS}ms, get: "SELECT store FROM users WHERE name = :key", ` +
      `set: "INSERT INTO users VALUES (:key, :value) ON CONFLICT (name) DO UPDATE SET store = excluded.store"${options} }`,
    get: (user) => find.get(user)?.["store"] as string | undefined,
    set: (user, backend) => void put.run(user, backend),
    refuse: () => db.exec("CREATE TRIGGER no BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'not now'); END"),
  };
}

export interface UrlSource extends OutsideSource {
  /** In place of the service; false leaves it to it. */
  onWrite: (apply: () => void, response: ServerResponse) => boolean;
  onRead: (response: ServerResponse) => boolean;
  /** GET and POST, oldest first. */
  readonly asked: readonly string[];
}

export async function startUrlSource(t: Scope, options = ""): Promise<UrlSource> {
  const asked: string[] = [];
  const store = await startHttpStore(t, new Map(), {
    onRequest({ method, key, body }, response) {
      asked.push(method);
      return method === "POST"
        ? source.onWrite(() => void store.values.set(key, body), response)
        : source.onRead(response);
    },
  });
  const source: UrlSource = {
    table: `{ type: url, url: "${store.url}", timeout: ${URL_TIMEOUT_MS}ms, breaker: { failures: 1000 }${options} }`,
    get(user) {
      const json = store.values.get(user);
      return json === undefined ? undefined : (JSON.parse(json) as string);
    },
    set: (user, backend) => void store.values.set(user, JSON.stringify(backend)),
    refuse() {
      source.onWrite = (_apply, response) => {
        response.writeHead(403).end();
        return true;
      };
    },
    onWrite: () => false,
    onRead: () => false,
    asked,
  };
  return source;
}

/** The stores `old` and `new`, which take everything. */
export async function startStores(t: Scope, folder: string): Promise<Readonly<Record<"old" | "new", FakeBackend>>> {
  const start = async (name: string): Promise<FakeBackend> => {
    const store = await startFakeBackend({ path: join(folder, name) });
    t.after(() => store[Symbol.asyncDispose]());
    return store;
  };
  return { old: await start("old"), new: await start("new") };
}
