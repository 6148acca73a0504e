import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";

const installer = join(import.meta.dirname, "..", "support", "install-packages.sh");

/** A folder that stands for a Debian system, with programs that only write down what they are asked to do. */
interface System {
  readonly root: string;
  readonly policy: string;
  start(...packages: string[]): ChildProcess;
  run(...packages: string[]): Promise<{ code: number | null; said: string; log: string }>;
  calls(): string[];
  write(path: string, text: string, mode?: number): void;
}

const programs = {
  "dpkg-query": `case $1 in
    -W) if [ -e "$R/installed/$4" ]; then printf 'install ok installed'; else exit 1; fi ;;
    -L) echo /usr/sbin/served ;;
  esac`,
  // What is installed puts links where the next boot finds them, and starts its service if it may.
  "apt-get": `case " $* " in
    *' -s '*) printf 'Inst asked (1)\\nInst helper (2)\\n'; exit ;;
  esac
  echo "apt-get $*" >>"$R/calls"
  case " $* " in
    *' update '*) : >"$R/updated" ;;
    *--download-only*) [ -e "$R/no-lists" ] && [ ! -e "$R/updated" ] && exit 100 ;;
    *)
      "$R/usr/sbin/policy-rc.d"; echo "policy $?" >>"$R/calls"
      ln -s /lib/asked.service "$R/etc/systemd/system/multi-user.target.wants/asked.service"
      ln -s ../init.d/asked "$R/etc/rc2.d/S01asked"
      if [ -e "$R/hang" ]; then : >"$R/hanging"; exec sleep 1000; fi
      if [ -e "$R/slow" ]; then sleep 0.3; fi
      if [ -e "$R/broken" ]; then echo "E: it broke"; exit 100; fi
      : >"$R/installed/asked"
      ;;
  esac
  exit 0`,
  dpkg: `echo "dpkg $*" >>"$R/calls"; "$R/usr/sbin/policy-rc.d"; echo "policy $?" >>"$R/calls"`,
  "debconf-set-selections": `sed 's/^/debconf /' >>"$R/calls"`,
  systemctl: `echo "systemctl $*" >>"$R/calls"`,
  "update-rc.d": `echo "update-rc.d $*" >>"$R/calls"; rm -f "$R"/etc/rc2.d/S??$1`,
};

function system(t: { after(clean: () => void): void }): System {
  const scratch = scratchFolder(t);
  const root = join(scratch, "root");
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  for (const folder of ["installed", "usr/sbin", "etc/rc2.d", "etc/systemd/system/multi-user.target.wants"])
    mkdirSync(join(root, folder), { recursive: true });
  for (const [name, code] of Object.entries(programs)) write(`bin/${name}`, `#!/bin/sh\n${code}\n`, 0o755);
  symlinkSync("/lib/before.service", join(root, "etc/systemd/system/multi-user.target.wants/before.service"));
  const log = join(scratch, "log");
  const env = { PATH: [join(root, "bin"), process.env["PATH"]].join(delimiter), R: root, MAILSHUNT_ROOT: root };
  const start = (...packages: string[]) =>
    spawn(installer, [log, ...packages], { detached: true, env, stdio: ["ignore", "ignore", "pipe"] });
  return {
    root,
    policy: join(root, "usr/sbin/policy-rc.d"),
    start,
    async run(...packages) {
      const child = start(...packages);
      let said = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
      const [code] = (await once(child, "close")) as [number | null];
      return { code, said, log: existsSync(log) ? readFileSync(log, "utf8") : "" };
    },
    calls: () => (existsSync(join(root, "calls")) ? readFileSync(join(root, "calls"), "utf8").trim().split("\n") : []),
    write,
  };
}

const OLD_POLICY = "#!/bin/sh\n# the administrator's own\nexit 104\n";

function assertUntouched({ root, policy }: System): void {
  assert.equal(readFileSync(policy, "utf8"), OLD_POLICY);
  assert.equal(lstatSync(policy).mode & 0o777, 0o750);
  assertNothingLeft(root);
}

function assertNothingLeft(root: string): void {
  const wants = join(root, "etc/systemd/system/multi-user.target.wants");
  assert.throws(() => lstatSync(join(wants, "asked.service")), { code: "ENOENT" });
  assert.throws(() => lstatSync(join(root, "etc/rc2.d/S01asked")), { code: "ENOENT" });
  assert.ok(lstatSync(join(wants, "before.service")).isSymbolicLink());
  assert.ok(!existsSync(join(root, "var/lib/mailshunt-test-packages")));
  assert.ok(!existsSync(join(root, "usr/sbin/policy-rc.d.mailshunt")));
}

test("it installs what is missing, says so, lets no service start, and leaves none enabled", async (t) => {
  const debian = system(t);
  debian.write("usr/sbin/policy-rc.d", OLD_POLICY, 0o750);
  const { code, said } = await debian.run("asked");
  assert.equal(code, 0);
  assert.equal(
    said,
    "mailshunt: installing the Debian packages asked (with helper); no service is started or enabled\n",
  );
  assertUntouched(debian);
  const calls = debian.calls();
  assert.ok(calls.includes("policy 101"));
  assert.ok(calls.some((call) => call.startsWith("systemctl") && call.endsWith("disable asked.service")));
  assert.ok(calls.includes("update-rc.d asked disable"));
  for (const call of calls.filter((call) => call.includes(" install ")))
    assert.match(call, /^apt-get -y .*--no-remove --no-install-recommends /);
  assert.ok(!calls.some((call) => call.includes(" update")), "apt-get update was not needed");
});

test("what is installed already is left alone", async (t) => {
  const debian = system(t);
  debian.write("installed/asked", "");
  assert.deepEqual(await debian.run("asked"), { code: 0, said: "", log: "" });
  assert.deepEqual(debian.calls(), []);
});

test("lists of packages are fetched only when the download fails without", async (t) => {
  const debian = system(t);
  debian.write("no-lists", "");
  assert.equal((await debian.run("asked")).code, 0);
  assert.equal(debian.calls().filter((call) => call.endsWith(" update")).length, 1);
});

test("postfix is installed without a configuration", async (t) => {
  const debian = system(t);
  await debian.run("postfix");
  assert.ok(debian.calls().includes("debconf postfix postfix/main_mailer_type select No configuration"));
});

test("where no policy was, none is afterwards", async (t) => {
  const debian = system(t);
  assert.equal((await debian.run("asked")).code, 0);
  assert.ok(debian.calls().includes("policy 101"));
  assert.throws(() => lstatSync(debian.policy), { code: "ENOENT" });
});

test("a policy that is a link stays one", async (t) => {
  const debian = system(t);
  symlinkSync("/etc/alternatives/policy-rc.d", debian.policy);
  assert.equal((await debian.run("asked")).code, 0);
  assert.ok(debian.calls().includes("policy 101"));
  assert.equal(readlinkSync(debian.policy), "/etc/alternatives/policy-rc.d");
});

test("a failure is reported, and everything put back", async (t) => {
  const debian = system(t);
  debian.write("usr/sbin/policy-rc.d", OLD_POLICY, 0o750);
  debian.write("broken", "");
  const { code, log } = await debian.run("asked");
  assert.equal(code, 1);
  assert.match(log, /^E: it broke$/m);
  assertUntouched(debian);
});

test("a service that runs all the same is reported", async (t) => {
  const debian = system(t);
  mkdirSync(join(debian.root, "proc/4711"), { recursive: true });
  symlinkSync("/usr/sbin/served", join(debian.root, "proc/4711/exe"));
  const { code, said } = await debian.run("asked");
  assert.equal(code, 2);
  assert.match(said, /\/usr\/sbin\/served runs, although no service may be started/);
});

test("killed half way, the next run finishes what it began and puts everything back", async (t) => {
  const debian = system(t);
  debian.write("usr/sbin/policy-rc.d", OLD_POLICY, 0o750);
  debian.write("hang", "");
  const killed = debian.start("asked");
  await until("dpkg is at work", () => existsSync(join(debian.root, "hanging")) || undefined);
  process.kill(-(killed.pid ?? assert.fail("not started")), "SIGKILL");
  await once(killed, "exit");
  assert.notEqual(readFileSync(debian.policy, "utf8"), OLD_POLICY);

  debian.write("installed/asked", "");
  const before = debian.calls().length;
  const { code, said } = await debian.run("asked");
  assert.equal(code, 0);
  assert.equal(said, "mailshunt: finishing an installation that was interrupted\n");
  assert.deepEqual(debian.calls().slice(before, before + 2), ["dpkg --configure -a", "policy 101"]);
  assertUntouched(debian);
});

test("Ctrl-C does not stop dpkg half way", async (t) => {
  const debian = system(t);
  debian.write("usr/sbin/policy-rc.d", OLD_POLICY, 0o750);
  debian.write("slow", "");
  const child = debian.start("asked");
  await until("dpkg is at work", () => debian.calls().includes("policy 101") || undefined);
  for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const)
    process.kill(-(child.pid ?? assert.fail("not started")), signal);
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assertUntouched(debian);
});

test("two at once install once, one after the other", async (t) => {
  const debian = system(t);
  debian.write("usr/sbin/policy-rc.d", OLD_POLICY, 0o750);
  debian.write("slow", "");
  const codes = (await Promise.all([debian.run("asked"), debian.run("asked")])).map(({ code }) => code);
  assert.deepEqual(codes, [0, 0]);
  assert.equal(debian.calls().filter((call) => call.startsWith("policy")).length, 1);
  assertUntouched(debian);
});
