import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import * as v from "valibot";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { backendSchema, toBackendOptions } from "../../backends/options.ts";
import { systemClock } from "../../core/clock.ts";
import { movesSchema, toMovesOptions } from "../moves-options.ts";
import type { MoveCommands, MoveSubject } from "../tools.ts";
import { createMoveCommands } from "./move-commands.ts";

const SECRET = "pa$$ word";

const backend = (name: string): ReturnType<typeof toBackendOptions> => {
  const imap = new Map([
    ["address", name === "old" ? "old.example:993" : "new.example:143"],
    ["tls", name === "old" ? "implicit" : "starttls"],
    ["master_user", "mover"],
    ["password", SECRET],
  ]);
  const section = new Map<string, unknown>([
    ["lmtp", "127.0.0.1:24"],
    ["imap", imap],
  ]);
  return toBackendOptions(name, v.parse(backendSchema, section), undefined);
};

interface Given {
  readonly commands: MoveCommands;
  readonly folder: string;
  readonly subject: (user?: string) => MoveSubject;
  readonly log: () => string;
}

/** @param stand a shell script that stands for the tool, as $TOOL */
function given(
  t: TestContext,
  preset: (tool: string) => ReadonlyMap<string, unknown>,
  stand = "exit 0",
  movesFolder?: string,
): Given {
  const folder = scratchFolder(t);
  const tool = join(folder, "tool");
  writeFileSync(tool, `#!/bin/sh\n${stand}\n`);
  chmodSync(tool, 0o755);
  const presets = new Map([["mine", preset(tool)]]);
  const moves = new Map<string, unknown>([
    ["presets", presets],
    ["folder", movesFolder ?? join(folder, "moves")],
    ["login", "{user}@example.com"],
  ]);
  const options = structuredClone(toMovesOptions(v.parse(movesSchema, moves)));
  const backends = new Map(["old", "new"].map((name) => [name, backend(name)]));
  const commands = createMoveCommands({ options: () => options, backends: () => backends, clock: systemClock });
  return {
    commands,
    folder,
    subject: (user = "ada") => ({ moveId: "b-1", user, from: "old", to: "new", preset: "mine" }),
    log: () => readFileSync(join(folder, "moves", "b-1.log"), "utf8"),
  };
}

const free = (): Parameters<MoveCommands["kick"]>[1] => ({
  signal: new AbortController().signal,
  mayStart: async () => true,
});

const SHOW = `for word in "$@"; do printf '[%s]' "$word"; case "$word" in /*) printf '{%s}' "$(cat "$word" 2>/dev/null)";; esac; done; echo`;

test("imapsync gets both sides, and its passwords from files that only we can read", async (t) => {
  const { commands, subject, log, folder } = given(
    t,
    (tool) =>
      new Map([
        ["type", "imapsync"],
        ["program", tool],
      ]),
    SHOW,
  );
  await commands.sync("final-sync", subject(), free());
  const text = log();
  assert.match(
    text,
    /\[--host1\]\[old.example\]\[--port1\]\[993\]\[--ssl1\]\[--user1\]\[ada@example.com\]\[--authuser1\]\[mover\]/,
  );
  assert.match(text, /\[--host2\]\[new.example\]\[--port2\]\[143\]\[--nossl2\]\[--tls2\]/);
  assert.ok(text.includes(`from.password]{${SECRET}}`));
  assert.ok(!text.split("\n")[0]?.includes(SECRET));
  const scratch = join(folder, "moves", "b-1.scratch");
  for (const name of readdirSync(scratch)) assert.equal(statSync(join(scratch, name)).mode & 0o777, 0o600, name);
  assert.equal(statSync(scratch).mode & 0o777, 0o700);
  await commands.forget("b-1");
  assert.equal(existsSync(scratch), false);
});

const STUCK_ONCE = `case "$*" in
  *" sync -1 "*) touch repaired;;
  *) test -e repaired || exit 65;;
esac`;
const doveadm = (tool: string): ReadonlyMap<string, unknown> =>
  new Map<string, unknown>([
    ["type", "doveadm"],
    ["program", tool],
    ["arguments", ["-x", "Spam"]],
    ["retries", "0"],
  ]);
const runsIn = (log: string): readonly string[] =>
  log.split("\n").flatMap((line) => /^--- .* \S+\/dovecot\.conf (.*)$/.exec(line)?.[1] ?? []);
const BACKUP = "backup -x Spam -R -u ada imapc:";
/** Without -R it would write to the old store. */
const REPAIR = "sync -1 -x Spam -R -u ada imapc:";

test("a backup that cannot delete the new INBOX is tried again after a merge from the old store", async (t) => {
  const { commands, subject, log } = given(t, doveadm, STUCK_ONCE);
  await commands.sync("pre-sync", subject(), free());
  assert.deepEqual(runsIn(log()), [BACKUP, REPAIR, BACKUP]);
  await commands.sync("pre-sync", subject(), free());
  assert.deepEqual(runsIn(log()), [BACKUP, REPAIR, BACKUP, BACKUP]);
});

test("nothing is merged while the user is held, nor twice, nor for another exit code", async (t) => {
  const final = given(t, doveadm, STUCK_ONCE);
  await assert.rejects(final.commands.sync("final-sync", final.subject(), free()), /exit code 65/);
  assert.deepEqual(runsIn(final.log()), [BACKUP]);
  const ever = given(t, doveadm, "exit 65");
  await assert.rejects(ever.commands.sync("pre-sync", ever.subject(), free()), /exit code 65/);
  assert.deepEqual(runsIn(ever.log()), [BACKUP, REPAIR]);
  const other = given(t, doveadm, "exit 75");
  await assert.rejects(other.commands.sync("pre-sync", other.subject(), free()), /exit code 75/);
  assert.deepEqual(runsIn(other.log()), [BACKUP]);
});

test("words of one's own are filled in and never read by a shell", async (t) => {
  const words = ["{user}", "--to={to.imap}", "{from.name} {to.name}", "$(id)", "{}", "*"];
  const { commands, subject, log } = given(
    t,
    (tool) =>
      new Map<string, unknown>([
        ["type", "command"],
        ["final_sync", [tool, ...words]],
      ]),
    SHOW,
  );
  await commands.sync("pre-sync", subject("a b;c"), free());
  assert.ok(log().includes("[a b;c][--to=new.example:143][old new][$(id)][{}][*]"), log());
});

test("a user cannot become an option, nor more lines of a file", async (t) => {
  const own = given(
    t,
    (tool) =>
      new Map<string, unknown>([
        ["type", "command"],
        ["final_sync", [tool, "{user}"]],
      ]),
  );
  await assert.rejects(own.commands.sync("final-sync", own.subject("-rf"), free()), /taken for an option/);
  const files = given(
    t,
    (tool) =>
      new Map([
        ["type", "mbsync"],
        ["program", tool],
      ]),
  );
  await assert.rejects(files.commands.sync("final-sync", files.subject('a"\nPassCmd "x'), free()), /cannot be written/);
});

test("doveadm reads the mailbox of that user and of nobody else, whatever the name", async (t) => {
  const preset = (tool: string): ReadonlyMap<string, unknown> =>
    new Map([
      ["type", "doveadm"],
      ["program", tool],
    ]);
  const { commands, subject, log } = given(t, preset, 'cat "$2"');
  await commands.sync("final-sync", subject("o'ann #x"), free());
  // Without quotes the rest of the line is a comment, and the mailbox that of o'ann.
  assert.ok(log().includes(`imapc_user = "o'ann #x@example.com"\n`), log());
  await assert.rejects(commands.sync("final-sync", subject("ann%u"), free()), /cannot be written/);
});

test("sessions are counted by lines, and that nobody was kicked is no failure", async (t) => {
  const preset = (tool: string): ReadonlyMap<string, unknown> =>
    new Map<string, unknown>([
      ["type", "command"],
      ["sessions", [tool, "{user}"]],
      ["kick", [tool, "kick"]],
      ["retries", "0"],
    ]);
  const { commands, subject } = given(t, preset, 'case "$1" in kick) exit 68;; ada) echo one; echo; echo two;; esac');
  assert.equal(await commands.countSessions(subject(), free()), 2);
  assert.equal(await commands.countSessions(subject("bob"), free()), 0);
  assert.equal(await commands.kick(subject(), free()), true);
  await commands.lock(subject(), free());
  const none = given(t, () => new Map<string, unknown>([["type", "command"]]));
  assert.equal(await none.commands.kick(subject(), free()), false);
  assert.equal(await none.commands.countSessions(subject(), free()), undefined);
});

test("says what a move lacks before it begins", (t) => {
  const { commands } = given(t, () => new Map<string, unknown>([["type", "command"]]));
  assert.equal(commands.faultOf("old", "new", "mine"), undefined);
  assert.equal(commands.faultOf("old", "new", "imapsync"), undefined);
  assert.match(commands.faultOf("old", "new", "imapsnyc") ?? "", /no preset "imapsnyc"; did you mean "imapsync"/);
  assert.match(commands.faultOf("old", "gone", "mine") ?? "", /no backend "gone"/);
});

test("says what is wrong with the folder before a move begins, and creates it where it is missing", async (t) => {
  const folder = scratchFolder(t);
  const commandsIn = (path: string): MoveCommands =>
    given(
      t,
      (tool) =>
        new Map<string, unknown>([
          ["type", "command"],
          ["final_sync", [tool]],
        ]),
      "exit 0",
      path,
    ).commands;
  const deep = join(folder, "not", "yet", "moves");
  const subject = { moveId: "b-1", user: "ada", from: "old", to: "new", preset: "mine" };
  assert.equal(commandsIn(deep).faultOf("old", "new", "mine"), undefined);
  assert.equal(existsSync(join(folder, "not")), false);
  await commandsIn(deep).sync("pre-sync", subject, free());
  assert.equal(statSync(deep).mode & 0o777, 0o700);
  writeFileSync(join(folder, "file"), "");
  const bad = commandsIn(join(folder, "file", "moves"));
  assert.match(bad.faultOf("old", "new", "mine") ?? "", /^moves\.folder, \S+, cannot be used: ENOTDIR/);
  await assert.rejects(bad.sync("pre-sync", subject, free()), /^ActFailed: moves\.folder, \S+, cannot be used: E/);
});

test("a placeholder that does not exist is a fault of the configuration", () => {
  const preset = new Map<string, unknown>([
    ["type", "command"],
    ["final_sync", ["x", "{from.imapp}"]],
  ]);
  const result = v.safeParse(movesSchema, new Map([["presets", new Map([["mine", preset]])]]));
  assert.match(result.issues?.[0]?.message ?? "", /no placeholder "\{from.imapp\}"; did you mean "from.imap"/);
});
