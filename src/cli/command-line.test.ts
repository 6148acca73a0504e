import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { MAIN, runMailshunt, writeConfig } from "../../test/support/daemon-process.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";

const cases: readonly { words: readonly string[]; code: number; stdout?: RegExp; stderr?: RegExp }[] = [
  { words: ["--version"], code: 0, stdout: /^\d+\.\d+\.\d+\n$/ },
  { words: ["--help"], code: 0, stdout: /^Usage: mailshunt /m },
  { words: ["route", "--help"], code: 0, stdout: /<address\.\.\.>/ },
  { words: [], code: 64, stderr: /^Usage: mailshunt /m },
  { words: ["surf"], code: 64, stderr: /^error: unknown command 'surf'/m },
  { words: ["serve", "--colour"], code: 64, stderr: /^error: unknown option '--colour'/m },
  { words: ["serve", "surplus"], code: 64, stderr: /^error: too many arguments/m },
  { words: ["serve", "-c"], code: 64, stderr: /argument missing/ },
  { words: ["route"], code: 64, stderr: /missing required argument/ },
  { words: ["convert"], code: 64, stderr: /-c, --config <file>.* not specified/ },
  { words: ["lmtp-proxy", "-h"], code: 0, stdout: /^Usage: lmtp-proxy \[-h\] \[-c \[CONFIG\]\] \[-D\]$/m },
  { words: ["lmtp-proxy", "-x"], code: 64, stderr: /unknown option '-x'/ },
  { words: ["lmtp-proxy", "surplus"], code: 64, stderr: /too many arguments/ },
  // The file that is not there shows which one was meant.
  {
    words: ["lmtp-proxy", "-c/nonexistent/a"],
    code: 78,
    stderr: /^\/nonexistent\/a: cannot read it: there is no such file\n/,
  },
  {
    words: ["lmtp-proxy", "-c", "/nonexistent/b"],
    code: 78,
    stderr: /^\/nonexistent\/b: cannot read it: there is no such file\n/,
  },
  {
    words: ["lmtp-proxy", "--config=/nonexistent/c"],
    code: 78,
    stderr: /^\/nonexistent\/c: cannot read it: there is no such file\n/,
  },
  {
    words: ["lmtp-proxy", "-Dc", "/nonexistent/d"],
    code: 78,
    stderr: /^\/nonexistent\/d: cannot read it: there is no such file\n/,
  },
];

/** Without a file named, the default is meant: which it is shows where there is none. Where there is one, a daemon would start. */
const defaults = [
  { path: "/etc/lmtp-proxy.conf", words: ["lmtp-proxy", "-c", "--daemonize"] },
  { path: "/etc/lmtp-proxy.conf", words: ["lmtp-proxy"] },
  { path: "/etc/mailshunt/mailshunt.yaml", words: ["serve"] },
].filter(({ path }) => !existsSync(path));
for (const { path, words } of defaults)
  test(`mailshunt ${words.join(" ")} means ${path}`, async (t) => {
    const run = await runMailshunt(t, words);
    assert.ok(run.stderr.startsWith(`${path}: cannot read it: there is no such file`), run.stderr);
    assert.equal(run.code, 78);
  });

for (const { words, code, stdout = /^$/, stderr = /^$/ } of cases)
  test(`mailshunt ${words.join(" ")}`, async (t) => {
    const run = await runMailshunt(t, words);
    assert.match(run.stdout, stdout);
    assert.match(run.stderr, stderr);
    assert.equal(run.code, code);
  });

function writeRoutes(folder: string, more: readonly string[] = []): string {
  return writeConfig(folder, {
    listeners: ['address: "127.0.0.1:0"'],
    backends: { old: 'lmtp: "unix:/run/old"', new: 'lmtp: "10.0.0.2:24"' },
    users: { user1: "old", user2: "new", user3: "hold", user4: "refuse", grüße: "new" },
    more,
  });
}

const routes: readonly { addresses: readonly string[]; code: number }[] = [
  { addresses: ["user1@example.com"], code: 0 },
  { addresses: ["user1", "USER2+news@example.com"], code: 0 },
  { addresses: ["user3"], code: 75 },
  { addresses: ["user4"], code: 67 },
  { addresses: ["nobody"], code: 67 },
  { addresses: ["user1", "user4"], code: 67 },
  { addresses: ["user4", "user3", "user1"], code: 75 },
];
for (const { addresses, code } of routes)
  test(`route ${addresses.join(" ")} ends with ${code}`, async (t) => {
    const config = writeRoutes(scratchFolder(t));
    const run = await runMailshunt(t, ["route", "-c", config, ...addresses]);
    assert.equal(run.code, code);
    assert.equal(run.stderr, "");
  });

test("route takes an address as logs have it, in brackets", async (t) => {
  const config = writeRoutes(scratchFolder(t));
  const words = ["route", "-c", config, "<user1@example.com>"];
  const { code, stdout } = await runMailshunt(t, words);
  assert.match(stdout, /^user1@example\.com\n  user key  user1\n  decision  deliver to old /);
  assert.equal(code, 0);
});

test("route with what is no address: 64, and nothing is said of the others", async (t) => {
  const config = writeRoutes(scratchFolder(t));
  const { code, stdout, stderr } = await runMailshunt(t, ["route", "-c", config, "user1", "a@b>", "", "a\u001bb"]);
  assert.deepEqual([code, stdout], [64, ""]);
  assert.equal(
    stderr,
    `"a@b>" is no address: it has a bracket that belongs to nothing
"" is no address: it is empty
"a\\u001bb" is no address: it has a control character
`,
  );
});

test("route says what was decided and why", async (t) => {
  const config = writeRoutes(scratchFolder(t));
  const words = ["route", "-c", config, "User2+news@example.com", "user4", "Nobody@x", "grüße@x"];
  assert.equal(
    (await runMailshunt(t, words)).stdout,
    `User2+news@example.com
  user key  user2
  decision  deliver to new at 10.0.0.2:24
  because   table users, key user2
  asked     table users has no User2+news
  asked     table users has no user2+news
  asked     table users has no User2
  asked     table users has user2: new
user4
  user key  user4
  decision  refuse: 550 5.7.1, the mail bounces
  because   table users, key user4
  asked     table users has user4: refuse
Nobody@x
  user key  nobody
  decision  unknown: 451 4.1.1, the client tries again
  because   no table has the user, and there is no routing.fallback
  asked     table users has no Nobody
  asked     table users has no nobody
grüße@x
  user key  grüße
  decision  deliver to new at 10.0.0.2:24
  because   table users, key grüße
  asked     table users has grüße: new
`,
  );
});

test("route --json is one object a line", async (t) => {
  const config = writeRoutes(scratchFolder(t));
  const { stdout } = await runMailshunt(t, ["route", "-c", config, "--json", "user1", "else"]);
  assert.deepEqual(
    stdout
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line)),
    [
      {
        address: "user1",
        user_key: "user1",
        decision: "deliver",
        backend: "old",
        lmtp: "unix:/run/old",
        source: { kind: "table", table: "users", key: "user1" },
        asked: [{ table: "users", key: "user1", answer: "found", value: "old" }],
      },
      {
        address: "else",
        user_key: "else",
        decision: "unknown",
        answer: "defer",
        source: { kind: "none" },
        asked: [{ table: "users", key: "else", answer: "absent" }],
      },
    ],
  );
});

test("route with a faulty file: 78", async (t) => {
  const config = writeRoutes(scratchFolder(t), ["colour: red"]);
  const { code, stdout, stderr } = await runMailshunt(t, ["route", "-c", config, "user1"]);
  assert.deepEqual([code, stdout], [78, ""]);
  assert.match(stderr, /colour/);
});

test("a reader that goes away is no error", async (t) => {
  const config = writeRoutes(scratchFolder(t));
  const addresses = Array.from({ length: 2000 }, (_, index) => `user${index}`);
  const child = spawn(process.execPath, [MAIN, "route", "-c", config, ...addresses], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.destroy();
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(stderr, "");
  assert.equal(code, 75);
});
