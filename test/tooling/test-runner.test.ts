import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runFile } from "../../scripts/test/run-file.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const root = join(import.meta.dirname, "..", "..");
const head = `import { test, describe } from "node:test"; import assert from "node:assert/strict";\n`;

interface Case {
  readonly name: string;
  readonly code: string;
  readonly passed?: number;
  readonly skips?: readonly string[];
  /** What the failures say, in their order. */
  readonly failures?: readonly RegExp[];
  readonly output?: RegExp;
  readonly timeoutMs?: number;
}

const cases: Case[] = [
  { name: "all pass", code: `test("a", () => {}); describe("s", () => { test("b", async () => {}); });`, passed: 2 },
  {
    name: "an assertion fails, and what was printed is shown",
    code: `test("a", () => { console.log("seen"); assert.equal(1, 2, "one is not two"); }); test("b", () => {});`,
    passed: 1,
    failures: [/one is not two/],
    output: /^seen\n$/,
  },
  {
    name: "a subtest fails, which the test around it does not count again",
    code: `test("outer", async (t) => { await t.test("inner", () => { throw new Error("boom"); }); });`,
    failures: [/boom/],
  },
  {
    name: "a test is skipped",
    code: `test("a", { skip: "no reason" }, () => {}); test("b", () => {});`,
    passed: 1,
    skips: ["a"],
  },
  { name: "a suite is skipped", code: `describe("s", { skip: true }, () => { test("a", () => {}); });`, skips: ["s"] },
  { name: "a test skips itself", code: `test("a", (t) => t.skip("not here"));`, skips: ["a"] },
  { name: "a test is to do", code: `test("a", { todo: true }, () => { throw new Error("x"); });`, skips: ["a"] },
  { name: "there are no tests", code: ``, failures: [/^reported no test/] },
  {
    name: "the file throws",
    code: `test("a", () => {}); throw new Error("top level");`,
    failures: [/^broke off with exit code \d$/],
    output: /top level/,
  },
  {
    name: "the file is no program",
    code: `test("a", () => {`,
    failures: [/^broke off with exit code \d$/],
    output: /SyntaxError/,
  },
  {
    name: "the process leaves early, with success",
    code: `test("a", () => process.exit(0));`,
    failures: [/^reported no test/],
  },
  {
    name: "the process is killed",
    code: `test("a", () => { process.kill(process.pid, "SIGKILL"); return new Promise((r) => setTimeout(r, 1e4)); });`,
    failures: [/^broke off with signal SIGKILL/],
  },
  {
    name: "a promise is rejected after its test",
    code: `test("a", () => { setImmediate(() => Promise.reject(new Error("late"))); }); test("b", () => new Promise((r) => setTimeout(r, 50)));`,
    passed: 2,
    failures: [/late/],
  },
  {
    name: "a test never ends",
    code: `test("a", () => {}); test("b", () => new Promise(() => setInterval(() => {}, 1e3)));`,
    passed: 1,
    failures: [/did not end within 1 s, in: b$/],
    timeoutMs: 1_000,
  },
  {
    name: "something stays open",
    code: `test("a", () => { setInterval(() => {}, 1e3); });`,
    passed: 1,
    failures: [/did not end within 1 s; something stayed open/],
    timeoutMs: 1_000,
  },
  {
    name: "a process is left behind, in a session of its own",
    code: `import { spawn } from "node:child_process"; test("a", () => { spawn("sleep", ["1000"], { detached: true, stdio: "inherit" }).unref(); });`,
    passed: 1,
    failures: [/^left running:\n\d+ sleep 1000$/],
  },
];

for (const { name, code, passed = 0, skips = [], failures = [], output, timeoutMs = 60_000 } of cases)
  test(`the runner sees it when ${name}`, async (t) => {
    const file = join(scratchFolder(t), "x.test.mjs");
    writeFileSync(file, head + code);
    const result = await runFile(file, timeoutMs);
    assert.equal(result.passed, passed);
    assert.deepEqual(
      result.skips.map((skip) => skip.test),
      skips,
    );
    assert.equal(result.failures.length, failures.length, JSON.stringify(result.failures));
    for (const [index, want] of failures.entries()) assert.match(result.failures[index]?.error ?? "", want);
    if (output !== undefined) assert.match(result.output, output);
    for (const pid of result.failures.flatMap(({ error }) => /^(\d+) sleep/m.exec(error)?.[1] ?? []))
      assert.ok(hasEnded(pid));
  });

/** A zombie has ended: whoever inherited it only has not looked yet. */
function hasEnded(pid: string): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "gone) Z";
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}

/** A checkout with the runner and the test files given. */
function checkout(t: { after(clean: () => void): void }, files: Readonly<Record<string, string>>): string {
  const folder = scratchFolder(t);
  cpSync(join(root, "scripts"), join(folder, "scripts"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [file, code] of Object.entries(files)) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), head + code);
  }
  return folder;
}

const tree = {
  "src/a/good.test.ts": `test("one", () => {}); test("two", () => {});`,
  "src/b/skipped.test.ts": `test("one", { skip: true }, () => {});`,
  "test/bad.test.ts": `test("one", () => { throw new Error("planted"); });`,
};

const runs = [
  { patterns: ["a/good"], ci: "", last: "2 passed, 0 failed, 0 skipped", code: 0 },
  { patterns: ["src/**"], ci: "", last: "2 passed, 0 failed, 1 skipped", code: 0 },
  { patterns: ["src/"], ci: "true", last: "2 passed, 1 failed, 0 skipped", code: 1 },
  { patterns: ["good", "bad"], ci: "true", last: "2 passed, 1 failed, 0 skipped", code: 1 },
];
for (const { patterns, ci, last, code } of runs)
  test(`npm test -- ${patterns.join(" ")}, CI=${ci}: ${last}`, (t) => {
    const folder = checkout(t, tree);
    const env = { ...process.env, CI: ci };
    const { status, stdout } = spawnSync(process.execPath, ["scripts/test.ts", ...patterns], {
      cwd: folder,
      env,
      encoding: "utf8",
    });
    assert.equal(stdout.trimEnd().split("\n").at(-1), last);
    assert.equal(status, code);
  });

test("a long run has those files alone that have a long form, and tells them", (t) => {
  const folder = checkout(t, {
    ...tree,
    "test/long.test.ts": `test("one", () => { if (process.env.MAILSHUNT_LONG_TESTS !== "1") throw new Error("short"); });`,
  });
  const { status, stdout } = spawnSync(process.execPath, ["scripts/test.ts", "--long"], {
    cwd: folder,
    env: { ...process.env, CI: "" },
    encoding: "utf8",
  });
  assert.match(stdout, /^only 1 of the test files.*\nok {4}test\/long\.test\.ts .*\n1 passed, 0 failed, 0 skipped\n$/);
  assert.equal(status, 0);
});

test("a pattern that fits nothing is an error, and so is an option", (t) => {
  const folder = checkout(t, tree);
  for (const [argument, complaint] of [
    ["nothing", /no test file matches nothing/],
    ["--watch", /unknown option/],
  ] as const) {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/test.ts", argument], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(status, 64);
    assert.match(stderr, complaint);
  }
});

test("a step that fails is one failed test, shown in full", (t) => {
  const folder = checkout(t, { "src/core/a.test.ts": `test("one", () => {});` });
  for (const file of ["tsconfig.json", ".oxlintrc.json", ".oxfmtrc.json"]) cpSync(join(root, file), join(folder, file));
  writeFileSync(join(folder, ".gitignore"), "node_modules\nscripts\nsrc/core/a.test.ts\n");
  writeFileSync(join(folder, "scripts", "generate-docs.ts"), `process.exit(process.argv[2] === "--check" ? 0 : 1);`);
  const source = [
    `import { x } from "../relay/x.ts";`,
    `async function later(): Promise<number> { await x(); return "text"; }`,
    `later();`,
  ];
  writeFileSync(join(folder, "src", "core", "bad.ts"), source.join("\n"));
  const env = { ...process.env, CI: "" };
  const { status, stdout } = spawnSync(process.execPath, ["scripts/test.ts"], { cwd: folder, env, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stdout, /^FAIL  types .*\n(?: .*\n)*? .*bad\.ts.*error TS2307/m);
  assert.match(stdout, /^FAIL  lint .*\n(?: .*\n)*? .*bad\.ts:3:1 .*no-floating-promises/m);
  assert.match(stdout, /^FAIL  imports .*\n.*\n.*bad\.ts:1:1 .*no-restricted-imports/m);
  assert.match(stdout, /^FAIL  format .*\n(?: .*\n)*? .*bad\.ts$/m);
  assert.match(stdout, /^ok    docs /m);
  assert.match(stdout, /^2 passed, 4 failed, 0 skipped\n$/m);
});
