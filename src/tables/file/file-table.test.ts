import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../core/clock.ts";
import type { Clock } from "../../core/clock.ts";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { FakeClock } from "../../../test/support/fake-clock.ts";
import { faultsOf, openType } from "../../../test/support/open-type.ts";
import type { OpenedType, RawOptions } from "../../../test/support/open-type.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { testTableContract } from "../../../test/support/table-contract.ts";
import { listAll } from "../../../test/support/table-contract-lists.ts";
import { until } from "../../../test/support/until.ts";
import { FILE } from "./file-table.ts";

/** Its looks come after 20 ms instead of a second. */
const quickClock: Clock = {
  ...systemClock,
  after: (delayMs, fire) => systemClock.after(delayMs > 1_000 ? delayMs : delayMs / 50, fire),
};

for (const format of ["json", "yaml", "postfix"])
  testTableContract({
    name: `file, ${format}`,
    type: FILE,
    start(t, entries) {
      const path = join(scratchFolder(t), "table");
      const repair = (): void => replace(path, write(format, entries));
      repair();
      return { options: { path, format }, break: () => rmSync(path), repair };
    },
    clock: quickClock,
    holdsKeys: (key) => key.isWellFormed() && (format === "json" || !/^[\s"]|[\s\\\0]|^$/.test(key)),
    holdsValues: (value) => value.isWellFormed() && (format === "json" || !/^$|^\s|\s$|[\n\0\\]/.test(value)),
    keepsContent: true,
    lists: true,
  });

function write(format: string, entries: ReadonlyMap<string, string>): string {
  if (format === "json") return JSON.stringify(Object.fromEntries(entries));
  const lines = [...entries].map(([key, value]) =>
    format === "yaml" ? `${JSON.stringify(key)}: ${JSON.stringify(value)}` : `${key} ${value}`,
  );
  return lines.length === 0 && format === "yaml" ? "{}" : `${lines.join("\n")}\n`;
}

/** As an administrator should. */
function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

interface Bench extends OpenedType {
  readonly path: string;
  readonly clock: FakeClock;
  /** Turns the clock until the key has this value. */
  untilFound(key: string, value: string): Promise<void>;
  untilSaid(pattern: RegExp): Promise<void>;
  /** Turns the clock until `look` has come round so often. */
  letLook(times: number): Promise<void>;
}

/** Also counts the looks at the file that were planned: nothing else is timed so short. */
function countingClock(): { readonly clock: FakeClock; readonly looksPlanned: () => number } {
  const clock = createFakeClock();
  const { after } = clock;
  let planned = 0;
  clock.after = (delayMs, fire) => {
    if (delayMs <= 1_000) planned += 1;
    return after(delayMs, fire);
  };
  return { clock, looksPlanned: () => planned };
}

function start(t: TestContext, content: string | undefined, options: RawOptions = {}): Bench {
  const path = join(scratchFolder(t), "table");
  if (content !== undefined) writeFileSync(path, content);
  const { clock, looksPlanned } = countingClock();
  const opened = openType(FILE, { path, ...options }, { clock });
  t.after(() => opened.table.close());
  const turn = (): void => clock.advance(1_000);
  return {
    ...opened,
    path,
    clock,
    untilFound: async (key, value) => {
      await until(`${key} is ${value}`, async () => {
        const answer = await opened.table.lookup(key);
        if (answer.kind === "found" && answer.value === value) return true;
        turn();
        return undefined;
      });
    },
    untilSaid: async (pattern) => {
      await until(`${pattern} is said`, () => {
        if (opened.said.some(({ text }) => pattern.test(text))) return true;
        turn();
        return undefined;
      });
    },
    letLook: async (times) => {
      for (let time = 0; time < times; time += 1) {
        const looks = looksPlanned();
        turn();
        await until("it has looked", () => (looksPlanned() > looks ? true : undefined));
      }
    },
  };
}

const said = ({ said: lines, path }: Bench): string[] =>
  lines.map(({ level, text }) => `${level} ${text.replaceAll(path, "PATH")}`);

test("who asks before it is read waits for it, and is answered at once afterwards", async (t) => {
  const bench = start(t, "user1 old\n");
  const early = bench.table.lookup("user1");
  assert.ok(early instanceof Promise);
  assert.deepEqual(await early, { kind: "found", value: "old" });
  assert.deepEqual(bench.table.lookup("user1"), { kind: "found", value: "old" });
  assert.deepEqual(bench.table.lookup("user2"), { kind: "absent" });
  assert.deepEqual(said(bench), ["info PATH was read: 1 entries"]);
});

test("a file that changes is read again", async (t) => {
  const bench = start(t, "user1 old\nuser2 old\n");
  await bench.untilFound("user1", "old");
  replace(bench.path, "user1 new\n");
  await bench.untilFound("user1", "new");
  assert.deepEqual(bench.table.lookup("user2"), { kind: "absent" });
  writeFileSync(bench.path, "user1 newer\n");
  await bench.untilFound("user1", "newer");
});

test("a bad file keeps what was read, says so once, and says when it is good again", async (t) => {
  const bench = start(t, "user1 old\n");
  await bench.untilFound("user1", "old");
  replace(bench.path, "user1 new\nuser2\n");
  await bench.untilSaid(/expected/);
  await bench.letLook(5);
  assert.deepEqual(bench.table.lookup("user1"), { kind: "found", value: "old" });
  replace(bench.path, "user1 new\nuser2 new\n");
  await bench.untilFound("user2", "new");
  assert.deepEqual(said(bench), [
    "info PATH was read: 1 entries",
    'error PATH:2: expected a key, a blank and a value, got "user2"; what was read before counts',
    "notice PATH is good again: 2 entries",
  ]);
});

test("a file that vanishes keeps what was read", async (t) => {
  const bench = start(t, "user1 old\n");
  await bench.untilFound("user1", "old");
  rmSync(bench.path);
  await bench.untilSaid(/no such file/);
  await bench.letLook(3);
  assert.deepEqual(bench.table.lookup("user1"), { kind: "found", value: "old" });
  replace(bench.path, "user1 old\n");
  await bench.untilSaid(/good again/);
  assert.deepEqual(said(bench).slice(1), [
    "error PATH: cannot read it: there is no such file; what was read before counts",
    "notice PATH is good again: 1 entries",
  ]);
});

for (const { name, make, reason } of [
  { name: "is not there", make: () => undefined, reason: "there is no such file" },
  { name: "is a directory", make: (path: string) => mkdirSync(path), reason: "it is a directory, not a file" },
  { name: "is binary", make: (path: string) => writeFileSync(path, "a\0b"), reason: "there is a NUL byte" },
])
  test(`a file that ${name} has never been readable: failed, until it is`, async (t) => {
    const path = join(scratchFolder(t), "table");
    make(path);
    const clock = createFakeClock();
    const opened = openType(FILE, { path }, { clock });
    t.after(() => opened.table.close());
    for (const key of ["user1", "user2"]) {
      const answer = await opened.table.lookup(key);
      assert.ok(answer.kind === "failed" && answer.reason.startsWith(`${path}: `) && answer.reason.includes(reason));
      assert.equal(answer.scope, "source");
    }
    await assert.rejects(listAll(opened.table, ""), { code: "TABLE_FAILURE" });
    assert.match(opened.said[0]?.text ?? "", /; lookups fail until it can be read$/);
    rmSync(path, { recursive: true, force: true });
    replace(path, "user1 old\n");
    await until("it is read", async () => {
      clock.advance(1_000);
      return (await opened.table.lookup("user1")).kind === "found" ? true : undefined;
    });
  });

test("a change of permissions is a change: it may be readable now", async (t) => {
  const bench = start(t, "user1 old\n");
  await bench.untilFound("user1", "old");
  chmodSync(bench.path, 0o600);
  await until("it is read again", () => {
    bench.clock.advance(1_000);
    return bench.said.length === 2 ? true : undefined;
  });
});

test("a file in which somebody writes is left until he has done", async (t) => {
  const bench = start(t, "user1 old\n");
  await bench.untilFound("user1", "old");
  for (let line = 0; line < 5; line += 1) {
    writeFileSync(bench.path, "user1 new\nuser2 new\n".slice(0, 4 * line));
    await bench.letLook(1);
    assert.deepEqual(bench.table.lookup("user1"), { kind: "found", value: "old" });
  }
  writeFileSync(bench.path, "user1 new\nuser2 new\n");
  await bench.untilFound("user2", "new");
  assert.deepEqual(said(bench), ["info PATH was read: 1 entries", "info PATH was read: 2 entries"]);
});

test("a file that is never left alone is told after a minute, once", async (t) => {
  const bench = start(t, "user1 old\n");
  await bench.untilFound("user1", "old");
  for (let second = 0; second < 70; second += 1) {
    writeFileSync(bench.path, `user1 new\nuser2 ${"n".repeat(second + 1)}\n`);
    await bench.letLook(1);
  }
  assert.deepEqual(said(bench), [
    "info PATH was read: 1 entries",
    "warning PATH changes all the time: it is read when it is left alone for a second",
  ]);
});

test("a file written just now is not read before a second has passed", async (t) => {
  const path = join(scratchFolder(t), "table");
  writeFileSync(path, "user1 old\n");
  const clock = createFakeClock(Date.now());
  const opened = openType(FILE, { path }, { clock });
  t.after(() => opened.table.close());
  const answer = opened.table.lookup("user1");
  // Its own timers: that of the first wait, and that of the next look.
  await until("it waits", () => (clock.pendingTimers === 2 ? true : undefined));
  writeFileSync(path, "user1 old\nuser2 new\n");
  clock.advance(1_000);
  await until("it waits again", () => (clock.pendingTimers === 2 ? true : undefined));
  clock.advance(1_000);
  assert.deepEqual(await answer, { kind: "found", value: "old" });
  assert.deepEqual(await opened.table.lookup("user2"), { kind: "found", value: "new" });
});

test("a command that asks and has nothing else to do gets its answer", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "table");
  const script = join(folder, "ask.mjs");
  const source = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  writeFileSync(
    script,
    `import { systemClock } from ${source("../../core/clock.ts")};
    import { FILE } from ${source("./file-table.ts")};
    const options = { path: ${JSON.stringify(path)}, format: "auto", foldsKeys: false };
    const table = FILE.open(options, { name: "t", clock: systemClock, say() {}, tableNamed() {} });
    console.log(JSON.stringify(await table.lookup("user1", new AbortController().signal)));
    await table.close();`,
  );
  // Written just now, so that it is not read at once.
  writeFileSync(path, "user1 old\n");
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 30_000 });
  assert.equal(stdout, '{"kind":"found","value":"old"}\n');
});

test("nobody waits for the first reading longer than for any other table", async (t) => {
  const path = join(scratchFolder(t), "table");
  writeFileSync(path, "user1 old\n");
  const clock = createFakeClock();
  const opened = openType(FILE, { path }, { clock });
  t.after(() => opened.table.close());
  const answer = opened.table.lookup("user1");
  clock.advance(5_000);
  assert.deepEqual(await answer, {
    kind: "failed",
    reason: `${path}: it is still being read`,
    scope: "source",
  });
  await until("it is read", async () => ((await opened.table.lookup("user1")).kind === "found" ? true : undefined));
});

test("closing ends a reading under way and leaves no timer", async (t) => {
  const path = join(scratchFolder(t), "table");
  writeFileSync(path, "user1 old\n");
  const clock = createFakeClock();
  const opened = openType(FILE, { path }, { clock });
  const answer = opened.table.lookup("user1");
  await until("it reads", () => (clock.pendingTimers === 2 ? true : undefined));
  await opened.source.close?.();
  assert.equal((await answer).kind, "failed");
  assert.equal(clock.pendingTimers, 0);
});

test("duplicates are told with their line, five of them", async (t) => {
  const bench = start(t, Array.from({ length: 9 }, (_, line) => `user1 v${line}\n`).join(""));
  await bench.untilFound("user1", "v0");
  assert.deepEqual(said(bench).slice(1, 3), [
    'warning PATH:2: "user1" stands here a second time: the first one counts',
    'warning PATH:3: "user1" stands here a second time: the first one counts',
  ]);
  assert.deepEqual(said(bench).slice(6), ["warning PATH: and 3 more"]);
});

test("with case: fold the file and the key are lower-cased", async (t) => {
  const bench = start(t, "User1@Example.COM old\n", { case: "fold" });
  assert.deepEqual(await bench.table.lookup("uSER1@example.com"), { kind: "found", value: "old" });
  assert.deepEqual(await listAll(bench.table, "USER"), [["user1@example.com", "old"]]);
});

test("its options have faults that say what to write", () => {
  assert.deepEqual(faultsOf(FILE, {}), ['"path" is missing']);
  assert.deepEqual(faultsOf(FILE, { path: "virtual", format: "hash", case: "lower" }), [
    'path: expected an absolute path, got "virtual"',
    'format: expected auto or yaml or json or postfix, got "hash"',
    'case: expected exact or fold, got "lower"',
  ]);
});

test("a million entries are read in seconds and hold up nobody", async (t) => {
  const lines = Array.from(
    { length: 1_000_000 },
    (_, user) => `user${user}@example.com lmtp:inet:10.0.0.${user % 200}:24`,
  );
  const path = join(scratchFolder(t), "table");
  writeFileSync(path, lines.join("\n"));
  const opened = openType(FILE, { path }, { clock: createFakeClock() });
  t.after(() => opened.table.close());
  const begun = performance.now();
  const before = process.threadCpuUsage();
  const answer = await opened.table.lookup("user999999@example.com");
  const { user, system } = process.threadCpuUsage(before);
  const busyMs = (user + system) / 1_000;
  t.diagnostic(`${Math.round(performance.now() - begun)} ms, of which this thread worked ${Math.round(busyMs)} ms`);
  assert.deepEqual(answer, { kind: "found", value: "lmtp:inet:10.0.0.199:24" });
  // Measured 140, most of it for this test's own garbage; it would be 1000 if the file were read here.
  assert.ok(busyMs < 500);
});
