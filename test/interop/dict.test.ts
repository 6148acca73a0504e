import assert from "node:assert/strict";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { startHttpService, type HttpService } from "../support/http-service.ts";
import { makeSearchableFolder, type Ran, removeFolder, runOk } from "../support/processes.ts";
import { until } from "../support/until.ts";
import {
  dovecotImapFolder,
  getMetadata,
  logIn,
  ODD_METADATA,
  setMetadata,
  tryLogIn,
  whyNoDovecotImap,
} from "./dovecot-imap.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { createStarted } from "./servers.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";

/** Exit codes of doveadm. Source: sysexits.h, and 68 for a key that there is not. */
const NO_SUCH_USER = 67;
const NO_SUCH_KEY = 68;
const TEMPORARY_FAILURE = 75;

describe("Dovecot asks a dict listener", { skip: await whyNoDovecotImap() }, () => {
  const started = createStarted();
  let dovecot: Dovecot, mailshunt: Mailshunt, service: HttpService;
  let folder = "";

  /** Mail's processes run as `mail` and connect as such. */
  const config = (users: readonly string[]): string => `
version: 1
listeners:
  - { protocol: dict, address: "unix:${folder}/dict", owner: mail, permissions: "0600", tables: { auth: users } }
  - { protocol: dict, address: "unix:${folder}/attributes", owner: mail, permissions: "0600", keys: path, tables: { meta: attributes, web: web } }
tables:
  users:
    type: static
    entries:
${users.map((user) => `      passdb/${user}: '{"password": "{PLAIN}secret", "userdb_x": "1"}'\n      userdb/${user}: '{"home": "${folder}/mail/${user}"}'\n`).join("")}
  attributes:
    type: sql
    driver: sqlite
    file: ${folder}/data/attributes.db
    get: SELECT value FROM attributes WHERE key = :key
    set: INSERT INTO attributes VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = :value
    unset: DELETE FROM attributes WHERE key = :key
    increment: UPDATE attributes SET value = value + :by WHERE key = :key
    list: SELECT key, value FROM attributes WHERE substr(key, 1, length(:prefix)) = :prefix
  web: { type: url, url: "${service.url}/{}", breaker: { min_backoff: 100ms, max_backoff: 200ms } }
`;

  before(async () => {
    folder = await makeSearchableFolder("dict");
    const [uid, gid] = await Promise.all([runOk(["id", "-u", "mail"]), runOk(["id", "-g", "mail"])]);
    for (const name of ["mail", "data"]) await mkdir(join(folder, name));
    await chown(join(folder, "mail"), Number(uid), Number(gid));
    const database = new DatabaseSync(join(folder, "data/attributes.db"));
    database.exec("CREATE TABLE attributes (key TEXT PRIMARY KEY, value)");
    database.close();
    service = await started.add(startHttpService());
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: () => config([ADA, BOB]) }));
    const auth = (iteration: string): string => `uri = proxy:${folder}/dict:auth
${iteration}
password_key = passdb/%u
user_key = userdb/%u
`;
    await writeFile(join(folder, "auth.conf"), auth("iterate_disable = no\niterate_prefix = userdb/"));
    // As the newer form has it, and with connections that stay.
    await writeFile(
      join(folder, "passdb.conf"),
      `uri = proxy:idle_msecs=3000:${folder}/dict:auth
key passdb {
  key = passdb/%u
  format = json
}
passdb_objects = passdb
`,
    );
    dovecot = await started.add(
      startDovecot({
        users: [],
        imapFolder: await dovecotImapFolder(),
        auth: `
passdb {
  driver = dict
  args = ${folder}/passdb.conf
}
userdb {
  driver = dict
  args = ${folder}/auth.conf
}
`,
        config: `
mail_attribute_dict = proxy:${folder}/attributes:meta
auth_failure_delay = 0
protocol imap {
  imap_metadata = yes
  mail_plugins = $mail_plugins last_login
}
plugin {
  last_login_dict = proxy:${folder}/attributes:meta
  last_login_key = last-login/%u
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
      }),
    );
  });
  after(async () => {
    await started.stop();
    await removeFolder(folder);
  });

  /** Flags come first among `words`. */
  const dict = (what: string, name: string, ...words: readonly string[]): Promise<Ran> => {
    const flags = words.filter((word) => /^-[RV1]$/.test(word));
    const uri = `proxy:${folder}/attributes:${name}`;
    return dovecot.doveadm("dict", what, "-u", ADA, ...flags, uri, ...words.slice(flags.length));
  };
  const ok = (stdout: string): Ran => ({ code: 0, stdout, stderr: "" });

  test("who has the password logs in, and nobody else", async () => {
    for (const user of [ADA, BOB, "Ada@Example.com"])
      assert.equal(await tryLogIn(dovecot.imapPort, user, "secret"), "OK");
    for (const user of [ADA, "nobody@example.com"])
      assert.match(await tryLogIn(dovecot.imapPort, user, "wrong"), /NO \[AUTHENTICATIONFAILED\]/);
  });

  test("all users are listed", async () =>
    assert.deepEqual(await dovecot.doveadm("user", "*"), ok(`${ADA}\n${BOB}\n`)));

  test("a reload changes who there is, over connections that stay", async () => {
    await mailshunt.reload(config([ADA]));
    assert.equal((await dovecot.doveadm("user", BOB)).code, NO_SUCH_USER);
    assert.match(await tryLogIn(dovecot.imapPort, BOB, "secret"), /NO \[AUTHENTICATIONFAILED\]/);
    await mailshunt.reload(config([ADA, BOB]));
    assert.equal(await tryLogIn(dovecot.imapPort, BOB, "secret"), "OK");
  });

  for (const { what, value } of ODD_METADATA)
    test(`an annotation by METADATA: ${what}`, async () => {
      const client = await logIn(dovecot.imapPort, ADA, "secret");
      try {
        for (const entry of ["/private/comment", "/shared/comment", "/private/vendor/x/y"]) {
          await setMetadata(client, entry, value);
          assert.equal(String(await getMetadata(client, entry)), String(value));
        }
        const [all] = await client.command("GETMETADATA (DEPTH infinity) INBOX (/private /shared)");
        assert.deepEqual([...(all?.text ?? "").matchAll(/\/(?:private|shared)\/\S+/g)].map(String).toSorted(), [
          "/private/comment",
          "/private/vendor/x/y",
          "/shared/comment",
        ]);
        for (const entry of ["/private/comment", "/shared/comment", "/private/vendor/x/y"]) {
          await client.command(`SETMETADATA INBOX (${entry} NIL)`);
          assert.equal(await getMetadata(client, entry), undefined);
        }
      } finally {
        client.close();
      }
    });

  test("the last login is written down", async () => {
    const key = `shared/last-login/${ADA}`;
    await dict("unset", "meta", key);
    const seconds = Math.floor(Date.now() / 1000);
    assert.equal(await tryLogIn(dovecot.imapPort, ADA, "secret"), "OK");
    const look = async (): Promise<string | undefined> => {
      const { code, stdout } = await dict("get", "meta", key);
      return code === 0 ? stdout.trim() : undefined;
    };
    assert.ok(Number(await until("the last login", look)) >= seconds);
  });

  for (const name of ["meta", "web"])
    test(`doveadm dict, table ${name}`, async () => {
      const odd = "a\tb\nc\r\x01t \\ü'";
      assert.equal((await dict("get", name, "shared/t/a")).code, NO_SUCH_KEY);
      assert.deepEqual(await dict("set", name, "shared/t/a", odd), ok(""));
      assert.deepEqual(await dict("set", name, "shared/t/b", "B"), ok(""));
      assert.deepEqual(await dict("set", name, "shared/t/deep/c", "C"), ok(""));
      assert.deepEqual(await dict("set", name, "priv/t/a", "mine"), ok(""));
      assert.equal((await dict("get", name, "shared/t/a")).stdout.trimEnd(), odd);
      assert.equal((await dict("get", name, "priv/t/a")).stdout.trimEnd(), "mine");
      const rows = async (...words: readonly string[]): Promise<string[]> => {
        const { code, stdout, stderr } = await dict("iter", name, ...words);
        assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
        return stdout.trimEnd().split("\n").slice(1).toSorted();
      };
      const a = `shared/t/a\t${odd}`.split("\n");
      assert.deepEqual(await rows("shared/t/"), [...a, "shared/t/b\tB"].toSorted());
      assert.deepEqual(await rows("-R", "shared/t/"), [...a, "shared/t/b\tB", "shared/t/deep/c\tC"].toSorted());
      assert.deepEqual(await rows("-R", "-V", "shared/t/"), ["shared/t/a", "shared/t/b", "shared/t/deep/c"]);
      assert.deepEqual(await rows("-1", "shared/t/b"), ["shared/t/b\tB"]);
      assert.deepEqual(await rows("-1", "shared/t/none"), []);
      assert.deepEqual(await rows("shared/none/"), []);
      assert.deepEqual(await rows("-R", "priv/t/"), ["priv/t/a\tmine"]);
      for (const key of ["shared/t/a", "shared/t/b", "shared/t/deep/c", "priv/t/a"])
        assert.deepEqual(await dict("unset", name, key), ok(""));
      assert.deepEqual(await rows("-R", "shared/t/"), []);
    });

  test("doveadm dict inc counts where the table can, and not where it cannot", async () => {
    const missing = await dict("inc", "meta", "shared/n", "5");
    assert.match(missing.stderr, /doesn't exist/);
    await dict("set", "meta", "shared/n", "5");
    const counted = await Promise.all(["1", "2", "3", "4"].map((by) => dict("inc", "meta", "shared/n", by)));
    assert.deepEqual(
      counted,
      Array.from({ length: 4 }, () => ok("")),
    );
    assert.equal((await dict("get", "meta", "shared/n")).stdout.trim(), "15");
    const refused = await dict("inc", "web", "shared/n", "5");
    assert.equal(refused.code, TEMPORARY_FAILURE);
    assert.match(refused.stderr, /cannot increment atomically/);
    assert.deepEqual([...service.values], []);
  });

  test("a write that failed is a failure, and so is what cannot be read", async () => {
    service.statuses.set("/shared/bad", 500);
    for (const [what, ...others] of [["set", "x"], ["unset"], ["get"], ["iter"]]) {
      const { code, stderr } = await dict(what ?? "", "web", "shared/bad", ...others);
      assert.equal(code, TEMPORARY_FAILURE, stderr);
      assert.match(stderr, /dict-server returned failure: http/);
    }
    service.statuses.clear();
  });

  test("while the listener is away nobody is told that a password is wrong", async () => {
    await mailshunt.stop();
    assert.match(await tryLogIn(dovecot.imapPort, ADA, "secret"), /NO \[UNAVAILABLE\]/);
    assert.equal((await dovecot.doveadm("user", ADA)).code, TEMPORARY_FAILURE);
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: () => config([ADA]) }));
    await until("logging in works", async () =>
      (await tryLogIn(dovecot.imapPort, ADA, "secret")) === "OK" ? true : undefined,
    );
  });
});
