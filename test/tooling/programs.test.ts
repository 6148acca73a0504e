import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join, relative } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../support/scratch-folder.ts";

const root = join(import.meta.dirname, "..", "..");

/** The programs in a checkout whose entry only prints what it got. */
function checkout(t: { after(clean: () => void): void }): { scratch: string; folder: string } {
  const scratch = scratchFolder(t);
  const folder = join(scratch, "check out");
  for (const part of ["bin", "scripts"]) cpSync(join(root, part), join(folder, part), { recursive: true });
  mkdirSync(join(folder, "node_modules", ".bin"), { recursive: true });
  mkdirSync(join(folder, "node_modules", "commander"));
  symlinkSync(process.execPath, join(folder, "node_modules", ".bin", "node"));
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const entry = `const [, file, ...args]: string[] = process.argv; console.log(JSON.stringify({ file, args, cwd: process.cwd(), pid: process.pid }));`;
  writeFileSync(join(folder, "src", "main.ts"), entry);
  return { scratch, folder };
}

interface Seen {
  readonly file: string;
  readonly args: string[];
  readonly cwd: string;
  readonly pid: number;
}

/** Each way leads from a name to the program: as it is called, and with a folder to stand in. */
const ways: Record<string, (scratch: string, program: string) => { command: string; cwd: string; path?: string }> = {
  "by its path": (_, program) => ({ command: program, cwd: "/" }),
  "relative to the folder": (scratch, program) => ({ command: relative(scratch, program), cwd: scratch }),
  "through an absolute link": (scratch, program) => {
    symlinkSync(program, join(scratch, "link"));
    return { command: join(scratch, "link"), cwd: "/" };
  },
  "through a chain of relative links": (scratch, program) => {
    mkdirSync(join(scratch, "a", "b"), { recursive: true });
    symlinkSync(relative(join(scratch, "a"), program), join(scratch, "a", "one"));
    symlinkSync("../one", join(scratch, "a", "b", "two"));
    symlinkSync(join("a", "b", "two"), join(scratch, "three"));
    return { command: "./three", cwd: scratch };
  },
  "in a folder that is a link": (scratch, program) => {
    mkdirSync(join(scratch, "x", "y"), { recursive: true });
    symlinkSync(join(program, ".."), join(scratch, "x", "y", "sbin"));
    return { command: join("x", "y", "sbin", program.slice(program.lastIndexOf("/") + 1)), cwd: scratch };
  },
  "found in PATH": (scratch, program) => {
    mkdirSync(join(scratch, "path"));
    symlinkSync(program, join(scratch, "path", "my-name"));
    return { command: "my-name", cwd: "/", path: join(scratch, "path") };
  },
};

for (const [program, first] of [
  ["mailshunt", []],
  ["lmtp-proxy", ["lmtp-proxy"]],
] as const)
  for (const [way, prepare] of Object.entries(ways))
    test(`bin/${program} ${way}`, (t) => {
      const { scratch, folder } = checkout(t);
      const { command, cwd, path } = prepare(scratch, join(folder, "bin", program));
      const PATH = [path, process.env["PATH"]].filter((part) => part !== undefined).join(delimiter);
      // CDPATH must not lead cd astray, nor make it print.
      const env = { ...process.env, PATH, CDPATH: scratch };
      const { stdout, stderr, pid } = spawnSync(command, ["-c", "a  b", ""], { cwd, env, encoding: "utf8" });
      assert.equal(stderr, "");
      const want: Seen = { file: join(folder, "src", "main.ts"), args: [...first, "-c", "a  b", ""], cwd, pid };
      assert.deepEqual(JSON.parse(stdout), want);
    });

test("a signal to the program is the daemon's own, and so is the exit code", async (t) => {
  const { folder } = checkout(t);
  const daemon = `process.on("SIGUSR1", () => process.exit(42)); setInterval(() => {}, 1e3); console.log("up");`;
  writeFileSync(join(folder, "src", "main.ts"), daemon);
  const child = spawn(join(folder, "bin", "lmtp-proxy"), { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGUSR1");
  assert.deepEqual(await once(child, "exit"), [42, null]);
});

test("without its libraries it says what to do", (t) => {
  const { folder } = checkout(t);
  rmSync(join(folder, "node_modules"), { recursive: true });
  const { status, stderr } = spawnSync(join(folder, "bin", "mailshunt"), { encoding: "utf8" });
  assert.equal(status, 70);
  assert.equal(stderr, `mailshunt: its libraries are not installed: run 'npm ci --omit=dev' in ${folder}\n`);
});

test("without the pinned runtime it takes the system's, if that is new enough", (t) => {
  const { scratch, folder } = checkout(t);
  rmSync(join(folder, "node_modules", ".bin", "node"));
  const bin = join(scratch, "bin");
  mkdirSync(bin);
  const system = (version: string) => {
    const code = `#!/bin/sh\ncase $1 in --version) echo ${version} ;; *) echo system ;; esac\n`;
    writeFileSync(join(bin, "node"), code, { mode: 0o755 });
    const env = { ...process.env, PATH: [bin, process.env["PATH"]].join(delimiter) };
    return spawnSync(join(folder, "bin", "mailshunt"), { env, encoding: "utf8" });
  };
  assert.equal(system("v24.1.0").stdout, "system\n");
  const tooOld = system("v20.20.2");
  assert.equal(tooOld.status, 70);
  assert.match(tooOld.stderr, /Node\.js 24 or newer is needed/);
});

test("mailshunt runs from a link in another folder", (t) => {
  const link = join(scratchFolder(t), "link");
  symlinkSync(join(root, "bin", "mailshunt"), link);
  const { status, stdout } = spawnSync(link, ["--help"], { cwd: "/", encoding: "utf8" });
  assert.equal(status, 0);
  assert.match(stdout, /^Usage: mailshunt /);
});
