import assert from "node:assert/strict";
import { chmodSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import * as v from "valibot";
import { BackendPool } from "../../src/backends/pool.ts";
import { backendSchema, toBackendOptions } from "../../src/backends/options.ts";
import type { BackendOptions } from "../../src/backends/options.ts";
import { systemClock } from "../../src/core/clock.ts";
import { openDirectory } from "../../src/directory/open-directory.ts";
import { createMoves } from "../../src/moves/create-moves.ts";
import { HoldKeeper } from "../../src/moves/hold-keeper.ts";
import type { MoveDetails } from "../../src/moves/move-service.ts";
import { movesSchema, toMovesOptions } from "../../src/moves/moves-options.ts";
import type { Moves } from "../../src/moves/moves.ts";
import { Deliveries } from "../../src/relay/deliveries.ts";
import { startDovecot } from "../support/dovecot.ts";
import type { Dovecot } from "../support/dovecot.ts";
import { connectImap } from "../support/imap-client.ts";
import type { ImapClient } from "../support/imap-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { dovecotImapFolder, whyNoDovecotImap } from "./dovecot-imap.ts";
import { createStarted, whyNot } from "./servers.ts";

const skip = await whyNoDovecotImap();
const noMbsync = skip === false ? await whyNot(["isync"]) : skip;
const started = createStarted();
after(() => started.stop());

const MASTER = "mover";
const SECRET = "s3cret-for-moves";
const OPERATOR = { who: "operator", why: "test" };

/** Anyone may log in with any password, and the master as anyone. */
const configuration = (folder: string, separator: string): string => `
namespace inbox {
  inbox = yes
  separator = ${separator}
}
auth_master_user_separator = *
passdb {
  driver = static
  master = yes
  args = password=${SECRET}
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${folder}/%u allow_all_users=yes
}
`;

async function startStore(
  t: { after(clean: () => void): void },
  users: readonly string[],
  separator: string,
): Promise<Dovecot> {
  const folder = scratchFolder(t);
  chmodSync(folder, 0o777);
  const options = { users, imapFolder: await dovecotImapFolder(), auth: configuration(folder, separator) };
  return started.add(startDovecot(options));
}

function toBackend(name: string, store: Dovecot): BackendOptions {
  const section = new Map<string, unknown>([
    ["lmtp", `127.0.0.1:${store.lmtpPort}`],
    [
      "imap",
      new Map<string, unknown>([
        ["address", `127.0.0.1:${store.imapPort}`],
        ["master_user", MASTER],
        ["password", SECRET],
      ]),
    ],
  ]);
  return toBackendOptions(name, v.parse(backendSchema, section), undefined);
}

async function fill(store: Dovecot, user: string): Promise<ImapClient> {
  const client = await connectImap(store.imapPort);
  await client.command(`LOGIN ${user}*${MASTER} "${SECRET}"`);
  for (const folder of ["Sent", "Projects.2026", "Empty"]) await client.command(`CREATE "${folder}"`);
  await client.command('SUBSCRIBE "Sent"');
  await append(client, "INBOX", "one");
  await append(client, "INBOX", "two", "(\\Seen $Label1)");
  await append(client, "Sent", "three", "(\\Answered)");
  await append(client, "Projects.2026", "four");
  return client;
}

function append(client: ImapClient, folder: string, id: string, flags = "()"): Promise<unknown> {
  const message = `Message-ID: <${id}@example.com>\r\nSubject: ${id},\r\n folded\r\nFrom: a@b.example\r\n\r\nbody ${id}\r\n`;
  return client.command(Buffer.from(`APPEND "${folder}" ${flags} {${message.length}+}\r\n${message}`));
}

interface World {
  readonly old: Dovecot;
  readonly target: Dovecot;
  readonly moves: Moves;
}

/** Two stores, and the moves between them with a directory on the disk. */
async function startWorld(
  t: { after(clean: () => Promise<void> | void): void },
  presets: (stores: { readonly old: Dovecot; readonly target: Dovecot }) => ReadonlyMap<string, unknown>,
  ignoreFlags: readonly string[] = [],
): Promise<World> {
  const users = ["ada@example.com"];
  const ignored = ignoreFlags.length === 0 ? [] : [["verify", new Map([["ignore_flags", ignoreFlags]])] as const];
  const [old, target] = await Promise.all([startStore(t, users, "."), startStore(t, users, "/")]);
  const backends = new Map([
    ["old", toBackend("old", old)],
    ["new", toBackend("new", target)],
  ]);
  const folder = scratchFolder(t);
  const options = toMovesOptions(
    v.parse(
      movesSchema,
      new Map<string, unknown>([
        ["presets", presets({ old, target })],
        ["folder", join(folder, "moves")],
        ["lock", new Map([["grace", "100ms"]])],
        ...ignored,
      ]),
    ),
  );
  const log = { write: () => undefined };
  const context = {
    clock: systemClock,
    hostname: "mailshunt.example",
    loopToken: "none",
    log,
    disabledBackends: new Set<string>(),
  };
  const pools = new Map([...backends].map(([name, backend]) => [name, new BackendPool(backend, context)]));
  const directory = await openDirectory({ store: { kind: "sqlite", path: join(folder, "directory.db") } });
  const say = (): void => undefined;
  const keeper = new HoldKeeper({
    directory,
    deliveries: new Deliveries(),
    options: () => ({
      hold: { parkMs: 0, maxParked: 0, deadlineMs: 60_000 },
      drain: { graceMs: 1_000, settleMs: 1_000, timeoutMs: 10_000 },
    }),
    clock: systemClock,
    say,
    onReleased: () => undefined,
  });
  const moves = createMoves({
    directory,
    keeper,
    options: () => ({ ...options, holdDeadlineMs: 60_000, settleMs: 1_000 }),
    backends: () => backends,
    pools: () => pools,
    logins: { lastLetThroughMs: () => undefined },
    outside: undefined,
    residence: (user) => Promise.resolve({ kind: "lives", backend: directory.findBackend(user) ?? "old" }),
    bypass: () => undefined,
    clock: systemClock,
    say,
  });
  await moves.recover();
  t.after(async () => {
    await moves.close(5_000);
    await keeper.close();
    for (const pool of pools.values()) pool.destroy("the test is over");
    await directory.close();
  });
  return { old, target, moves };
}

async function moveAda({ moves }: World): Promise<MoveDetails> {
  const ended = new Promise((resolve) => void moves.onEvent((event) => event.kind === "batch-ended" && resolve(event)));
  const { planned, refused } = await moves.start({ users: ["ada@example.com"], to: "new", author: OPERATOR });
  assert.deepEqual(refused, []);
  await ended;
  const details = moves.show(planned[0]?.moveId ?? "");
  assert.ok(details);
  return details;
}

const configOf = (store: Dovecot): string => join(dirname(store.lmtpSocket), "dovecot.conf");

const doveadm = ({ old, target }: { readonly old: Dovecot; readonly target: Dovecot }): ReadonlyMap<string, unknown> =>
  new Map([
    [
      "dovecot",
      new Map<string, unknown>([
        ["type", "doveadm"],
        ["config", configOf(target)],
        ["kick_config", configOf(old)],
        ["retries", "0"],
      ]),
    ],
  ]);

const whatHappened = (details: MoveDetails): string =>
  [
    ...details.journal.map(({ what, text }) => `${what}: ${text}`),
    read(details.logPath ?? ""),
    read(details.reportPath ?? ""),
  ].join("\n");

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return `(no ${path})`;
  }
}

test("doveadm moves a mailbox, kicks its user, and the comparison finds both the same", { skip }, async (t) => {
  const world = await startWorld(t, doveadm);
  const client = await fill(world.old, "ada@example.com");
  t.after(() => client.close());
  const details = await moveAda(world);
  assert.equal(details.phase, "done", whatHappened(details));
  const held = details.journal.filter(({ what }) => what === "compared").at(-1);
  assert.equal(held?.text, "4 messages in 4 folders compared: no difference");
  // The session at the old store was ended.
  await assert.rejects(client.command("NOOP"));
  const log = read(details.logPath ?? "");
  assert.match(log, /doveadm -c \S+ backup/);
  assert.doesNotMatch(log, /s3cret/);
});

test("doveadm moves a mailbox though the new INBOX has come into being by itself", { skip }, async (t) => {
  const world = await startWorld(t, doveadm);
  const client = await fill(world.old, "ada@example.com");
  t.after(() => client.close());
  // As a backup leaves it that is killed in its first moments: a later one cannot delete this INBOX, and ends with 65.
  const other = await connectImap(world.target.imapPort);
  await other.command(`LOGIN ada@example.com*${MASTER} "${SECRET}"`);
  await other.command("SELECT INBOX");
  other.close();
  const items = "guid messages uidnext highestmodseq";
  const lookAtOld = () => world.old.doveadm("mailbox", "status", "-u", "ada@example.com", items, "*");
  const { stdout: before } = await lookAtOld();
  const details = await moveAda(world);
  assert.equal(details.phase, "done", whatHappened(details));
  assert.equal((await lookAtOld()).stdout, before, "nothing is written to the old store");
  const runs = [...read(details.logPath ?? "").matchAll(/^--- .* doveadm -c \S+ (backup|sync|kick|-f) (.*)$/gm)];
  assert.deepEqual(
    runs.slice(0, 3).map(([, command, rest]) => `${command} ${rest}`),
    [
      "backup -R -u ada@example.com imapc:",
      "sync -1 -R -u ada@example.com imapc:",
      "backup -R -u ada@example.com imapc:",
    ],
  );
  assert.deepEqual(runs.filter(([, command]) => command === "sync").length, 1);
  const held = details.journal.filter(({ what }) => what === "compared").at(-1);
  assert.equal(held?.text, "4 messages in 4 folders compared: no difference");
});

test("mbsync moves a mailbox, but for its keywords", { skip: noMbsync }, async (t) => {
  const preset = new Map([
    ["type", "mbsync"],
    ["retries", "0"],
  ]);
  const world = await startWorld(t, () => new Map([["mbsync", preset]]), ["$Label1"]);
  const client = await fill(world.old, "ada@example.com");
  t.after(() => client.close());
  const details = await moveAda(world);
  assert.equal(details.phase, "done", whatHappened(details));
});

test("a mailbox that was not copied whole is not switched", { skip }, async (t) => {
  const world = await startWorld(t, () => new Map([["none", new Map([["type", "command"]])]]));
  const client = await fill(world.old, "ada@example.com");
  t.after(() => client.close());
  const other = await connectImap(world.target.imapPort);
  t.after(() => other.close());
  await other.command(`LOGIN ada@example.com*${MASTER} "${SECRET}"`);
  await other.command('CREATE "Sent"');
  await other.command('CREATE "Extra"');
  await append(other, "INBOX", "one");
  await append(other, "INBOX", "two", "(\\Seen)");
  await append(other, "Sent", "five");
  const details = await moveAda(world);
  assert.equal(details.phase, "rolled-back", whatHappened(details));
  // Nothing is claimed of sessions that nobody ends or counts.
  const textOf = (kind: string): string | undefined => details.journal.find(({ what }) => what === kind)?.text;
  assert.equal(textOf("kicked"), "no command is configured that ends sessions at old");
  assert.equal(textOf("no-sessions"), "no command is configured that tells whether sessions are open at old");
  const report = read(details.reportPath ?? "").split("while the user was held")[1] ?? "";
  assert.match(report, /INBOX: 1 with other flags \(2 in the old store, 2 in the new one\)/);
  assert.match(report, /Sent: 1 missing in the new store, 1 in the new store alone/);
  assert.match(report, /Projects\/2026: the folder is missing/);
  assert.match(report, /Empty: the folder is missing/);
  assert.doesNotMatch(report, /Extra/);
  assert.match(report, /Sent: subscribed in the old store alone \(this does not count\)/);
});
