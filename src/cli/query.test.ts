import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { runQuery } from "./query.ts";
import { runTableList, runTableWrite } from "./table.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TABLES = `
version: 1
listeners: [{ protocol: socketmap, address: "127.0.0.1:2500" }]
tables:
  aliases:
    type: static
    key: { fold: all, recipient_delimiter: "+", try: [address, "@domain"] }
    entries: { u1@example.com: "a@example.com, b@example.com", "@all.example": u9, "with blank": x }
  missing: { type: file, path: /nonexistent/file }
  rows:
    type: sql
    driver: sqlite
    file: FOLDER/rows.db
    get: SELECT value FROM rows WHERE key = :key
    set: INSERT INTO rows VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = :value
    unset: DELETE FROM rows WHERE key = :key
    list: SELECT key, value FROM rows WHERE substr(key, 1, length(:prefix)) = :prefix ORDER BY key
    cache: { ttl: 30s }
`;

function setUp(t: TestContext): string {
  const folder = scratchFolder(t);
  const database = new DatabaseSync(join(folder, "rows.db"));
  database.exec("CREATE TABLE rows (key TEXT PRIMARY KEY, value TEXT); INSERT INTO rows VALUES ('a/1', 'one')");
  database.close();
  const path = join(folder, "config.yaml");
  writeFileSync(path, TABLES.replace("FOLDER", folder));
  return path;
}

function io(input = "") {
  const written = { stdout: "", stderr: "" };
  return {
    written,
    stdin: (async function* () {
      yield* (
        Buffer.from(input)
          .toString()
          .match(/[^]{1,3}/g) ?? []
      );
    })(),
    stdout: { write: (text: string) => void (written.stdout += text) },
    stderr: { write: (text: string) => void (written.stderr += text) },
  };
}

async function query(
  path: string,
  words: readonly [string, ...string[]],
  input?: string,
  isJson = false,
): Promise<Ran> {
  const [table, ...keys] = words;
  const given = io(input);
  const code = await runQuery({ config: path, isJson, table, keys }, given);
  return { code, ...given.written };
}

test("query answers as postmap -q does, by the key rules of listeners", async (t) => {
  const path = setUp(t);
  assert.deepEqual(await query(path, ["aliases", "U1+x@Example.com"]), {
    code: 0,
    stdout: "a@example.com, b@example.com\n",
    stderr: "",
  });
  assert.deepEqual(await query(path, ["aliases", "nobody@example.com"]), { code: 1, stdout: "", stderr: "" });
  assert.deepEqual(await query(path, ["aliases", "x@all.example", "nobody@example.com"]), {
    code: 1,
    stdout: "x@all.example\tu9\n",
    stderr: "",
  });
});

test("query tells a failure from an absent key, on stderr and by its exit code", async (t) => {
  const path = setUp(t);
  const failed = await query(path, ["missing", "a"]);
  assert.equal(failed.code, 75);
  assert.equal(failed.stdout, "");
  assert.match(failed.stderr, /^mailshunt: missing a: lookup failed: .*\/nonexistent\/file.*no such file/m);
});

test("query reads keys from stdin, however they are cut", async (t) => {
  const path = setUp(t);
  assert.deepEqual(await query(path, ["aliases", "-"], "with blank\r\n\nu1@example.com\nx@all.example"), {
    code: 0,
    stdout: "with blank\tx\nu1@example.com\ta@example.com, b@example.com\nx@all.example\tu9\n",
    stderr: "",
  });
});

test("query --json has a line for every key", async (t) => {
  const { code, stdout } = await query(setUp(t), ["aliases", "-"], "x@all.example\nnobody\n", true);
  assert.equal(code, 1);
  assert.equal(stdout, '{"key":"x@all.example","answer":"found","value":"u9"}\n{"key":"nobody","answer":"absent"}\n');
});

test("a table that there is not is named, with one that was meant", async (t) => {
  const path = setUp(t);
  const { code, stderr } = await query(path, ["alias", "x"]);
  assert.equal(code, 64);
  assert.equal(
    stderr,
    `mailshunt: ${path} has no table "alias"; did you mean "aliases"? Known are aliases, missing, rows\n`,
  );
});

test("table set, unset and list write where the type can, and say so where it cannot", async (t) => {
  const path = setUp(t);
  const write = async (table: string, change: Parameters<typeof runTableWrite>[0]["change"]): Promise<Ran> => {
    const given = io();
    return { code: await runTableWrite({ path, table, change }, given), ...given.written };
  };
  const list = async (table: string, prefix: string, isJson: boolean): Promise<Ran> => {
    const given = io();
    return { code: await runTableList({ path, table, prefix, isJson }, given), ...given.written };
  };
  const note = "note: a running daemon may answer from its cache for 30 s more; a reload makes it forget\n";
  assert.deepEqual(await write("rows", { kind: "set", key: "a/2", value: "two" }), {
    code: 0,
    stdout: "",
    stderr: note,
  });
  assert.deepEqual(await write("rows", { kind: "set", key: "b", value: "x" }), { code: 0, stdout: "", stderr: note });
  assert.deepEqual(await list("rows", "a/", false), { code: 0, stdout: "a/1\tone\na/2\ttwo\n", stderr: "" });
  assert.deepEqual(await write("rows", { kind: "unset", key: "a/1" }), { code: 0, stdout: "", stderr: note });
  assert.deepEqual(await list("rows", "a/", true), { code: 0, stdout: '{"key":"a/2","value":"two"}\n', stderr: "" });
  assert.deepEqual(await write("aliases", { kind: "unset", key: "a/1" }), {
    code: 69,
    stdout: "",
    stderr: "mailshunt: table aliases cannot be written\n",
  });
  assert.equal((await list("missing", "", false)).code, 75);
});
