import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { type TestContext } from "node:test";
import { connectLmtp } from "../../test/support/lmtp-client.ts";
import { runStore, type StoreCommandOptions } from "./store.ts";

const PROGRAM = `
import { runStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
process.exitCode = await runStore(JSON.parse(process.argv[1]), process);
`;

async function setUp(t: TestContext, options: Partial<StoreCommandOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  const all: StoreCommandOptions = {
    directory: join(folder, "mail"),
    listen: `unix:${join(folder, "lmtp")}`,
    permissions: "0600",
    ...options,
  };
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, JSON.stringify(all)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  assert.match(await line(), /mailshunt\/store\[\d+\]: ready: Maildirs below .*\/mail, listening on unix:\/.*\/lmtp$/);
  return { child, exited, line, directory: all.directory, path: join(folder, "lmtp") };
}

test("serves, logs each delivery, and ends with 0 after the message under way", async (t) => {
  const { child, exited, line, directory, path } = await setUp(t);
  const client = await connectLmtp({ kind: "unix", path });
  t.after(() => client.reset());
  await client.lhlo();
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<User@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  child.kill("SIGTERM");
  assert.match(await line(), /SIGTERM: stopping$/);
  await client.send("Hello\r\n.\r\n");
  await client.expect("250 2.0.0 <User@x>", "421 4.3.2");
  client.end();
  assert.match(
    await line(),
    /mailshunt\/lmtp\[\d+\]: \w+: to=<User@x>, relay=.*, dsn=2\.0\.0, status=sent \(250 2\.0\.0 /,
  );
  assert.match(await line(), /stopped$/);
  assert.deepEqual(await exited, [0, null]);
  assert.equal((await readdir(join(directory, "user", "Maildir", "new"))).length, 1);
});

test("a second signal cuts off what is under way", async (t) => {
  const { child, exited, line, directory, path } = await setUp(t);
  const client = await connectLmtp({ kind: "unix", path });
  t.after(() => client.reset());
  await client.lhlo();
  await client.send("MAIL FROM:<s@x>\r\nRCPT TO:<user@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  child.kill("SIGINT");
  assert.match(await line(), /SIGINT: stopping$/);
  child.kill("SIGINT");
  assert.deepEqual(await exited, [0, null]);
  await client.closed();
  assert.deepEqual(await readdir(directory), [".spool"]);
});

const faults: readonly { options: Partial<StoreCommandOptions>; exitCode: number; stderr: RegExp }[] = [
  { options: { listen: "here" }, exitCode: 64, stderr: /--listen: expected "unix:\/path"/ },
  { options: { quota: "50" }, exitCode: 64, stderr: /--quota: .*50MB/ },
  { options: { unknown: "552" }, exitCode: 64, stderr: /--unknown: expected 550, 451, accept, got "552"/ },
  { options: { overQuota: "550" }, exitCode: 64, stderr: /--over-quota: expected 552, 452/ },
  { options: { key: "user" }, exitCode: 64, stderr: /--key: expected localpart, address/ },
  { options: { permissions: "9" }, exitCode: 64, stderr: /--permissions: expected octal/ },
  { options: { users: "/nowhere/users" }, exitCode: 71, stderr: /ENOENT.*\/nowhere\/users/ },
  { options: { directory: "/dev/null/mail" }, exitCode: 71, stderr: /ENOTDIR/ },
  { options: { listen: "unix:/nowhere/lmtp" }, exitCode: 71, stderr: /the folder \/nowhere does not exist/ },
];
for (const { options, exitCode, stderr } of faults)
  test(`fault: ${JSON.stringify(options)}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "store-"));
    t.after(() => rm(folder, { recursive: true }));
    let said = "";
    const code = await runStore(
      { directory: join(folder, "mail"), listen: `unix:${join(folder, "lmtp")}`, ...options },
      { stdout: { write: () => true }, stderr: { write: (text) => (said += text) } },
    );
    assert.match(said, stderr);
    assert.match(said, /^mailshunt store: [^\n]+\n$/);
    assert.equal(code, exitCode);
  });
