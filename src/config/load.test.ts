import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { systemClock } from "../core/clock.ts";
import { openTables } from "../tables/open-tables.ts";
import type { TableSet } from "../tables/open-tables.ts";
import { EXIT } from "../core/exit-codes.ts";
import { runCheck } from "../cli/check.ts";
import type { TextOutput } from "../cli/check.ts";
import { runConvert } from "../cli/convert.ts";
import { runRoute } from "../cli/route.ts";
import type { Config, LoadResult } from "./config.ts";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { openForReader } from "../../test/support/named-pipe.ts";
import { until } from "../../test/support/until.ts";
import { loadConfig } from "./load.ts";
import { parseConfig } from "./parse.ts";

const folder = mkdtempSync(join(tmpdir(), "mailshunt-config-"));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function makePipe(name: string): string {
  const path = join(folder, name);
  execFileSync("mkfifo", [path]);
  return path;
}

function configOf(result: LoadResult): Config {
  assert.ok(result.kind === "loaded", JSON.stringify(result));
  return result.config;
}

const openAll = (tables: Config["tables"]): TableSet => openTables(tables, { clock: systemClock, say: () => {} });

/** Everything but the moves' presets and the tables, of which each user's value is asked. */
function describe(
  { tables, moves: { presets: _presets, ...moves }, ...rest }: Config,
  users: readonly string[],
): unknown {
  const { exact } = openAll(tables);
  return { ...rest, moves, answers: users.map((user) => [...exact.values()].map((table) => table.lookup(user))) };
}

const DEFAULT_TIMEOUTS = {
  connectMs: 10_000,
  greetingMs: 30_000,
  commandMs: 100_000,
  dataMs: 90_000,
  bodyMs: 120_000,
  finalMs: 540_000,
};
const DEFAULT_BACKEND = {
  maxConnections: 50,
  maxIdleConnections: 50,
  idleTimeoutMs: 30_000,
  slotTimeoutMs: 20_000,
  lowercaseDomain: true,
  timeouts: DEFAULT_TIMEOUTS,
};
const DEFAULT_LISTENER = {
  protocol: "lmtp",
  owner: undefined,
  group: undefined,
  permissions: undefined,
  trustedNetworks: ["127.0.0.0/8", "::1/128"],
  maxConnections: 10_000,
  maxConnectionsPerAddress: 10_000,
};
const DEFAULT_HOLDING = {
  directory: undefined,
  hold: { parkMs: 45_000, maxParked: 10, deadlineMs: 900_000 },
  drain: { graceMs: 5_000, settleMs: 60_000, timeoutMs: 600_000 },
  moves: {
    defaultPreset: undefined,
    parallel: 10,
    perBackend: 10,
    roundsUntilMs: 10_000,
    maxRounds: 5,
    lockGraceMs: 2_000,
    sessionsTimeoutMs: 20_000,
    address: "{user}",
    login: "{user}",
    masterSeparator: "*",
    verify: {
      isOn: true,
      ignoreFolders: [],
      ignoreFlags: [],
      ignoreSizes: false,
      verifiesCertificates: true,
      timeoutMs: 300_000,
    },
    folder: "/var/lib/mailshunt/moves",
  },
};

const DEFAULT_LMTP = {
  hostname: "shunt.example.com",
  maxMessageBytes: undefined,
  maxRecipients: 10_000,
  maxLineBytes: 8192,
  newlines: "normalize",
  idleTimeoutMs: 300_000,
  dataTimeoutMs: 100_000,
};
const GOOD =
  'version: 1\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a" } }\nrouting: { fallback: a }\n';
const DEFAULT_LOG = { to: { kind: "stderr" }, format: "text", level: "info" };

suite("loadConfig", () => {
  test("reads the own format, defaults filled in", async () => {
    const passwordPath = write("new.password", "s3cret\n");
    const path = write(
      "own.yaml",
      `version: 1
process: { user: mailshunt, group: mailshunt, pid_file: /run/mailshunt/pid }
listeners:
  - { protocol: lmtp, address: "unix:/run/mailshunt/lmtp", owner: postfix, group: postfix, permissions: "0660" }
  - { protocol: lmtp, address: "127.0.0.1:2424" }
backends:
  old: { lmtp: "unix:/var/imap/socket/lmtp" }
  new: { lmtp: "10.0.0.2:24", user: proxy, password: { file: ${passwordPath} }, max_connections: 60 }
tables:
  users: { type: static, entries: { user1: old, user2: new, user3: hold, user4: refuse } }
routing:
  key: localpart            # or address
  recipient_delimiter: "+"  # the address itself goes on unchanged
  tables: [users]           # asked in order
  fallback: old
  unknown: defer            # 451 4.1.1; reject = 550 5.1.1
lmtp: { hostname: shunt.example.com }
`,
    );
    const config = configOf(await loadConfig(path));
    assert.deepEqual(describe(config, ["user1", "user2", "user3", "user4", "user5"]), {
      source: { path, format: "mailshunt" },
      process: {
        user: "mailshunt",
        group: "mailshunt",
        pidFile: "/run/mailshunt/pid",
        shutdownTimeoutMs: 60_000,
        workers: "auto",
      },
      log: DEFAULT_LOG,
      listeners: [
        {
          ...DEFAULT_LISTENER,
          address: { kind: "unix", path: "/run/mailshunt/lmtp" },
          owner: "postfix",
          group: "postfix",
          permissions: 0o660,
        },
        { ...DEFAULT_LISTENER, address: { kind: "tcp", host: "127.0.0.1", port: 2424 } },
      ],
      backends: new Map([
        ["old", { ...DEFAULT_BACKEND, name: "old", lmtp: { kind: "unix", path: "/var/imap/socket/lmtp" } }],
        [
          "new",
          {
            ...DEFAULT_BACKEND,
            name: "new",
            lmtp: { kind: "tcp", host: "10.0.0.2", port: 24 },
            credentials: { user: "proxy", password: "s3cret" },
            maxConnections: 60,
          },
        ],
      ]),
      routing: { key: "localpart", recipientDelimiter: "+", tables: ["users"], fallback: "old", unknown: "defer" },
      lmtp: DEFAULT_LMTP,
      ...DEFAULT_HOLDING,
      answers: [
        [{ kind: "found", value: "old" }],
        [{ kind: "found", value: "new" }],
        [{ kind: "found", value: "hold" }],
        [{ kind: "found", value: "refuse" }],
        [{ kind: "absent" }],
      ],
    });
  });

  test("reads the format of lmtp-proxy into the same value", async () => {
    const path = write(
      "old.yaml",
      `config:
  socket: /run/lmtp-proxy/lmtp
  owner: postfix
  group: 1000
  permissions: 0660
  ignoreDomain: True
  fallback_backend: reject
backends:
  cyrus-unix: { socket: /var/lib/imap/socket/lmtp }
  cyrus-tcp:  { host: 127.0.0.1, port: 24, user: admin, password: 0123 }
users:
  user1: cyrus-unix
  no: cyrus-tcp
  12345: reject
`,
    );
    const { lmtp, ...config } = configOf(await loadConfig(path));
    assert.equal(lmtp.maxLineBytes, DEFAULT_LMTP.maxLineBytes);
    assert.deepEqual(describe({ ...config, lmtp: DEFAULT_LMTP as Config["lmtp"] }, ["user1", "no", "12345", "false"]), {
      source: { path, format: "lmtp-proxy" },
      process: {
        user: undefined,
        group: undefined,
        pidFile: "/var/run/lmtp-proxy.pid",
        shutdownTimeoutMs: 60_000,
        workers: "auto",
      },
      log: DEFAULT_LOG,
      listeners: [
        {
          ...DEFAULT_LISTENER,
          address: { kind: "unix", path: "/run/lmtp-proxy/lmtp" },
          owner: "postfix",
          group: "1000",
          permissions: 0o660,
        },
      ],
      backends: new Map([
        [
          "cyrus-unix",
          { ...DEFAULT_BACKEND, name: "cyrus-unix", lmtp: { kind: "unix", path: "/var/lib/imap/socket/lmtp" } },
        ],
        [
          "cyrus-tcp",
          {
            ...DEFAULT_BACKEND,
            name: "cyrus-tcp",
            lmtp: { kind: "tcp", host: "127.0.0.1", port: 24 },
            credentials: { user: "admin", password: "0123" },
          },
        ],
      ]),
      routing: { key: "localpart", recipientDelimiter: "+", tables: ["users"], fallback: "hold", unknown: "defer" },
      lmtp: DEFAULT_LMTP,
      ...DEFAULT_HOLDING,
      answers: [
        [{ kind: "found", value: "cyrus-unix" }],
        [{ kind: "found", value: "cyrus-tcp" }],
        [{ kind: "found", value: "hold" }],
        [{ kind: "absent" }],
      ],
    });
  });

  const unreadable: readonly [string, string, RegExp][] = [
    ["a missing file", join(folder, "missing.yaml"), /there is no such file/],
    ["a folder", folder, /it is a directory/],
    ["a device", "/dev/zero", /it is a device, not a file/],
    ["a pipe", makePipe("pipe.yaml"), /it is a pipe, not a file/],
    ["a file as a folder", join(import.meta.filename, "x"), /not a directory/],
  ];
  for (const [name, path, message] of unreadable) {
    test(`${name} is a fault of the file, not of ours`, async () => {
      const result = await loadConfig(path);
      assert.ok(result.kind === "faulty");
      assert.equal(result.faults.length, 1);
      assert.match(result.faults[0]?.message ?? "", message);
    });
  }

  test("what never ends to be read is given up at the deadline, and the next load is not held up", async (t) => {
    const pipe = makePipe("never-ends.yaml");
    const deadlineClock = createFakeClock();
    const loading = loadConfig(pipe, { takesPipe: true, deadlineClock });
    const writer = await until("the worker reads", () => openForReader(pipe));
    t.after(() => closeSync(writer));
    deadlineClock.advance(59_999);
    assert.equal(await Promise.race([loading, loadConfig(folder).then(() => "still read")]), "still read");
    deadlineClock.advance(1);
    const result = await loading;
    assert.ok(result.kind === "faulty");
    assert.deepEqual(
      result.faults.map(({ message }) => message),
      ["cannot read it: it took longer than 60 s"],
    );
  });

  test("a load in time leaves no deadline behind", async () => {
    const deadlineClock = createFakeClock();
    configOf(await loadConfig(write("in-time.yaml", GOOD), { deadlineClock }));
    assert.equal(deadlineClock.pendingTimers, 0);
  });

  test("a wanted format is taken, whatever the keys say", async () => {
    const result = await loadConfig(write("forced.yaml", "config: {}\n"), { format: "mailshunt" });
    assert.ok(result.kind === "faulty");
    assert.match(result.faults[0]?.message ?? "", /unknown key "config"|"version" is missing/);
  });

  test("lmtp-proxy says of a file in our own format what to do with it, and nothing else", async () => {
    const result = await loadConfig(write("own-for-old.yaml", GOOD), { format: "lmtp-proxy" });
    assert.ok(result.kind === "faulty");
    assert.deepEqual(
      result.faults.map(({ line, column, message }) => [line, column, message]),
      [[1, 1, 'this is mailshunt\'s own format, which the command lmtp-proxy does not take: use "mailshunt serve -c"']],
    );
  });

  test("a large table is loaded, warned about and answers like a small one", async () => {
    const users = Array.from({ length: 50_000 }, (_, user) => `  user${user}@example.com: store${user % 3}\n`);
    const path = write(
      "large.yaml",
      `config: { socket: /run/lmtp }\nbackends:\n${[0, 1, 2].map((store) => `  store${store}: { socket: /store${store} }\n`).join("")}users:\n${users.join("")}  user7@example.com: reject\n`,
    );
    const result = await loadConfig(path);
    const table = openAll(configOf(result).tables).exact.get("users");
    assert.deepEqual(table?.lookup("user49999@example.com"), { kind: "found", value: "store1" });
    assert.deepEqual(table?.lookup("user7@example.com"), { kind: "found", value: "hold" });
    assert.deepEqual(table?.lookup("user50000@example.com"), { kind: "absent" });
    assert.deepEqual(
      result.kind === "loaded" && result.warnings.map(({ line, column, message }) => [line, column, message]),
      [[50_007, 3, '"user7@example.com" stands here a second time: the last one counts']],
    );
  });

  test("a fault in a large table is told with its place", async () => {
    const users = Array.from({ length: 5000 }, (_, user) => `  user${user}: ${user === 4321 ? "stoer" : "store"}\n`);
    const path = write(
      "large-fault.yaml",
      `config: { socket: /run/lmtp, ignoreDomain: True }\nbackends: { store: { socket: /store } }\nusers:\n${users.join("")}`,
    );
    const result = await loadConfig(path);
    assert.deepEqual(
      result.kind === "faulty" &&
        result.faults.map(({ line, column, message, sourceLine }) => [line, column, message, sourceLine]),
      [[4325, 13, '"user4321": there is no backend "stoer"; did you mean "store"?', "  user4321: stoer"]],
    );
  });
});

test("whether accounts are there is asked for check only", async () => {
  const path = write(
    "accounts.yaml",
    'version: 1\nprocess: { user: nosuchuser }\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a" } }\nrouting: { fallback: a }\n',
  );
  const warnings = async (checksMachine: boolean): Promise<unknown> => {
    const result = await loadConfig(path, { checksMachine });
    return result.kind === "loaded" && result.warnings.map(({ line, column, message }) => [line, column, message]);
  };
  assert.deepEqual(await warnings(false), []);
  assert.deepEqual(await warnings(true), [[2, 18, 'there is no user "nosuchuser" on this machine']]);
});

suite("secrets", () => {
  const passwordOf = (password: string): string | undefined => {
    const text = `version: 1\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a", user: u, password: ${password} } }\nrouting: { fallback: a }\n`;
    const result = parseConfig({ path: "own", text }, undefined);
    assert.ok(result.kind === "read", JSON.stringify(result));
    return result.config.backends.get("a")?.credentials?.password;
  };

  test("inline text is taken as it stands", () => {
    assert.deepEqual(["0123", "no", '"a b "', "~"].map(passwordOf), ["0123", "no", "a b ", "~"]);
  });

  test("a file loses one newline at its end", () => {
    const read = (text: string): string | undefined => passwordOf(`{ file: ${write("password", text)} }`);
    assert.deepEqual(["a b", "a b\n", "a b\r\n", " a "].map(read), ["a b", "a b", "a b", " a "]);
  });

  test("a pipe or a device is no password file", () => {
    assert.throws(
      () => passwordOf(`{ file: ${makePipe("password.pipe")} }`),
      /password\.pipe: it is a pipe, not a file/,
    );
    assert.throws(() => passwordOf("{ file: /dev/zero }"), /it is a device, not a file/);
  });

  test("the environment is asked", () => {
    process.env["MAILSHUNT_TEST_PASSWORD"] = "from env";
    try {
      assert.equal(passwordOf("{ env: MAILSHUNT_TEST_PASSWORD }"), "from env");
    } finally {
      delete process.env["MAILSHUNT_TEST_PASSWORD"];
    }
  });

  test("a file that is no password is a fault that does not show it", () => {
    for (const text of ["", "\n", "hunter2\nhunter2\n", "hunter2".repeat(1000)]) {
      const path = write("odd.password", text);
      assert.throws(
        () => passwordOf(`{ file: ${path} }`),
        (error: Error) =>
          /odd\.password is (?:empty|no password)/.test(error.message) && !error.message.includes("hunter2"),
      );
    }
  });
});

suite("commands", () => {
  function collect(): { readonly write: (text: string) => void; readonly text: () => string } {
    const pieces: string[] = [];
    return { write: (text) => void pieces.push(text), text: () => pieces.join("") };
  }

  test("check says so where nothing is wrong", async () => {
    const path = write(
      "good.yaml",
      'version: 1\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a" } }\nrouting: { fallback: a }\n',
    );
    const out = collect();
    assert.equal(await runCheck({ path }, out), EXIT.ok);
    assert.equal(out.text(), `${path}: 0 errors, 0 warnings\n`);
  });

  test("check, convert and route read from a pipe", async () => {
    const pipe = makePipe("old.pipe");
    const old = "config: { socket: /run/lmtp }\nbackends: { a: { socket: /a } }\nusers: { b@example.com: a }\n";
    const feed = async (run: (out: TextOutput) => Promise<number>): Promise<string> => {
      const out = collect();
      const running = run(out);
      const writer = await until("it reads", () => openForReader(pipe));
      writeSync(writer, old);
      closeSync(writer);
      assert.equal(await running, EXIT.ok);
      return out.text();
    };
    assert.equal(await feed((out) => runCheck({ path: pipe }, out)), `${pipe}: 0 errors, 0 warnings\n`);
    const addresses = ["b@example.com"];
    assert.match(
      await feed((out) =>
        runRoute({ config: pipe, isJson: false, addresses }, { stdin: process.stdin, stdout: out, stderr: out }),
      ),
      /deliver to a/,
    );
    // convert reads in this thread: a process of its own writes.
    const out = collect();
    const child = spawn("sh", ["-c", 'printf %s "$1" > "$0"', pipe, old]);
    assert.equal(await runConvert({ path: pipe }, out, out), EXIT.ok);
    await once(child, "close");
    assert.match(out.text(), /^# Translated from /);
  });

  test("convert prints the file, and its warnings elsewhere", async () => {
    const path = write(
      "warned.yaml",
      "config: { socket: /run/lmtp, debug: True }\nbackends: { a: { socket: /a } }\nusers: { b@x: a }\n",
    );
    const [out, err] = [collect(), collect()];
    assert.equal(await runConvert({ path }, out, err), EXIT.ok);
    assert.match(out.text(), /^# Translated from .*\nversion: 1\n/);
    assert.equal(
      err.text(),
      `${path}:1:30: warning: unknown key "debug" (ignored)\n    config: { socket: /run/lmtp, debug: True }\n${" ".repeat(33)}^\n${path}: 0 errors, 1 warning\n`,
    );
  });

  test("convert prints nothing of a file with faults, or in its own format", async () => {
    const own = write(
      "own-already.yaml",
      'version: 1\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a" } }\nrouting: { fallback: a }\n',
    );
    const faulty = write("faulty.yaml", "config: {}\n");
    for (const path of [own, faulty]) {
      const [out, err] = [collect(), collect()];
      assert.equal(await runConvert({ path }, out, err), EXIT.config);
      assert.equal(out.text(), "");
      assert.notEqual(err.text(), "");
    }
  });
});
