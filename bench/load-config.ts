/**
 * Loads a file of a million users, as a running daemon does at a reload, and says what it cost.
 *
 *   node bench/load-config.ts [USERS]
 *
 * Goals: under 5 s, the event loop never blocked for more than 50 ms, under 600 MB resident.
 * "simple" files are read by hand where they are long; one "odd" line sends the whole table through the YAML parser.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { loadConfig } from "../src/config/load.ts";
import { systemClock } from "../src/core/clock.ts";
import { openTables } from "../src/tables/open-tables.ts";
import type { Table } from "../src/tables/table.ts";

const userCount = Number(process.argv[2] ?? 1_000_000);
const LOADS = 3;
const BACKENDS = 20;
const LOOKUPS = 1_000_000;

const nameOf = (user: number): string => `user${String(user).padStart(7, "0")}@example.com`;

function writeLmtpProxy(isOdd: boolean): string {
  const stores = Array.from(
    { length: BACKENDS },
    (_, store) => `  store${store}: { host: 10.0.0.${store}, port: 24 }\n`,
  );
  const users = Array.from({ length: userCount }, (_, user) => `  ${nameOf(user)}: store${user % BACKENDS}\n`);
  const odd = isOdd ? '  "\\x6fdd": store0\n' : "";
  return `config: { socket: /run/lmtp }\nbackends:\n${stores.join("")}users:\n${users.join("")}${odd}`;
}

function writeOwn(): string {
  const stores = Array.from({ length: BACKENDS }, (_, store) => `  store${store}: { lmtp: "10.0.0.${store}:24" }\n`);
  const users = Array.from({ length: userCount }, (_, user) => `      ${nameOf(user)}: store${user % BACKENDS}\n`);
  return `version: 1\nlisteners: [{ protocol: lmtp, address: "127.0.0.1:24" }]\nbackends:\n${stores.join("")}routing: { tables: [users] }\ntables:\n  users:\n    type: static\n    entries:\n${users.join("")}`;
}

interface Watched {
  /** The longest time between two turns of the event loop: on a busy machine, also what others took. */
  readonly gapMs: number;
  /** The most that this thread itself worked in one turn. */
  readonly workMs: number;
  readonly peakBytes: number;
}

function watch(): { stop(): Watched } {
  let [last, lastWork] = [performance.now(), threadCpuMs()];
  let [gapMs, workMs, peakBytes] = [0, 0, 0];
  const look = (): void => {
    const [now, work] = [performance.now(), threadCpuMs()];
    gapMs = Math.max(gapMs, now - last);
    workMs = Math.max(workMs, work - lastWork);
    [last, lastWork] = [now, work];
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  };
  const timer = setInterval(look, 1);
  return {
    stop() {
      clearInterval(timer);
      look();
      return { gapMs, workMs, peakBytes };
    },
  };
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function measureLookups(table: Table): number {
  const start = performance.now();
  for (let lookup = 0; lookup < LOOKUPS; lookup++) {
    const answer = table.lookup(nameOf((lookup * 7919) % userCount));
    if (answer instanceof Promise || answer.kind !== "found") throw new Error("a user was not found");
  }
  return ((performance.now() - start) / LOOKUPS) * 1000;
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`;

async function measure(name: string, path: string): Promise<void> {
  let table: Table | undefined;
  for (let load = 1; load <= LOADS; load++) {
    const watching = watch();
    const start = performance.now();
    const result = await loadConfig(path);
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const { gapMs, workMs, peakBytes } = watching.stop();
    if (result.kind === "faulty") throw new Error(result.faults[0]?.message);
    table = openTables(result.config.tables, { clock: systemClock, say: () => undefined }).exact.get("users");
    console.log(
      `${name}, load ${load}: ${seconds} s, blocked ${gapMs.toFixed(1)} ms at most (${workMs.toFixed(1)} by us), ${megabytes(peakBytes)} resident`,
    );
    // The worker's memory goes back a moment later; a daemon does not reload twice within it.
    await delay(500);
  }
  if (table !== undefined) console.log(`${name}: ${measureLookups(table).toFixed(2)} µs a lookup`);
  console.log(`${name}: ${megabytes(process.memoryUsage.rss())} resident afterwards`);
}

/** Each file in a process of its own: what wrote the files must not count. */
function measureAll(): void {
  const folder = mkdtempSync(join(tmpdir(), "mailshunt-bench-"));
  try {
    const files: readonly [string, string][] = [
      ["lmtp-proxy, simple", writeLmtpProxy(false)],
      ["own format, simple", writeOwn()],
      ["lmtp-proxy, odd", writeLmtpProxy(true)],
    ];
    const path = join(folder, "config.yaml");
    for (const [name, text] of files) {
      writeFileSync(path, text);
      spawnSync(process.execPath, [import.meta.filename, String(userCount), name, path], { stdio: "inherit" });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [, , , name, path] = process.argv;
if (name === undefined || path === undefined) measureAll();
else await measure(name, path);
