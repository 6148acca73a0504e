import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { DeliveryRecord } from "../core/log.ts";
import { until } from "../../test/support/until.ts";
import { createMetrics } from "./metrics.ts";
import type { DirectoryState, MetricsState } from "./metrics.ts";

const STATE: MetricsState = {
  version: "1.2.3",
  connections: () => new Map([["lmtp", 2]]),
  deliveriesUnderWay: () => 3,
  deliveriesParked: () => 1,
  backends: () => [
    { name: "old", isUp: true, isDisabled: false, openSessions: 3, idleSessions: 1 },
    { name: 'n"e\\w', isUp: false, isDisabled: true, openSessions: 0, idleSessions: 0 },
  ],
  servedTables: () => [{ protocol: "socketmap", table: "aliases" }],
  reloads: () => ({ succeeded: 4, failed: 1 }),
  directory: () => Promise.resolve(undefined),
};

const DIRECTORY: DirectoryState = {
  holds: 2,
  oldestHoldMs: 90_500,
  users: new Map([
    ["old", 7],
    ["gone", 1],
  ]),
  moves: {
    active: new Map([
      ["pre-sync", 3],
      ["lock", 0],
    ]),
    ended: new Map([["done", 5]]),
  },
};

const delivery = (backend: string, status: DeliveryRecord["status"]): DeliveryRecord => ({
  kind: "delivery",
  session: "SESSION1",
  recipient: "ada@example.com",
  sender: "bob@example.com",
  backend,
  relay: "r",
  connectionUse: 1,
  delayMs: 1,
  delaysMs: [0, 0, 0, 1],
  dsn: "2.0.0",
  status,
  text: "250 ok",
});

/** The lines of ours, without help and type. */
async function read(metrics: ReturnType<typeof createMetrics>): Promise<readonly string[]> {
  return (await metrics.render([])).split("\n").filter((line) => line.startsWith("mailshunt_"));
}

test("everything known is there with 0 before anything has happened", async () => {
  assert.deepEqual(await read(createMetrics(STATE)), [
    'mailshunt_build_info{version="1.2.3"} 1',
    ...["none", "old", 'n\\"e\\\\w'].flatMap((backend) =>
      ["sent", "deferred", "bounced", "uncertain"].map(
        (result) => `mailshunt_lmtp_recipients_total{backend="${backend}",result="${result}"} 0`,
      ),
    ),
    ...["found", "absent", "failed"].map(
      (result) => `mailshunt_lookups_total{protocol="socketmap",table="aliases",result="${result}"} 0`,
    ),
    'mailshunt_connections{protocol="lmtp"} 2',
    "mailshunt_deliveries_under_way 3",
    "mailshunt_deliveries_parked 1",
    'mailshunt_reloads_total{result="succeeded"} 4',
    'mailshunt_reloads_total{result="failed"} 1',
    'mailshunt_backend_disabled{backend="old"} 0',
    'mailshunt_backend_disabled{backend="n\\"e\\\\w"} 1',
    'mailshunt_backend_up{backend="old"} 1',
    'mailshunt_backend_up{backend="n\\"e\\\\w"} 0',
    'mailshunt_backend_sessions{backend="old",state="busy"} 2',
    'mailshunt_backend_sessions{backend="old",state="idle"} 1',
    'mailshunt_backend_sessions{backend="n\\"e\\\\w",state="busy"} 0',
    'mailshunt_backend_sessions{backend="n\\"e\\\\w",state="idle"} 0',
  ]);
});

test("a directory adds holds, their oldest age in seconds and users; one that fails says so, and nothing it cannot know", async () => {
  let directory: () => Promise<DirectoryState> = () => Promise.resolve(DIRECTORY);
  const metrics = createMetrics({ ...STATE, directory: () => directory() });
  const ofDirectory = async (): Promise<readonly string[]> =>
    (await read(metrics)).filter((line) => /_(directory|hold|moves)/.test(line));
  const want = [
    "mailshunt_directory_up 1",
    'mailshunt_directory_users{backend="old"} 7',
    'mailshunt_directory_users{backend="n\\"e\\\\w"} 0',
    'mailshunt_directory_users{backend="gone"} 1',
    "mailshunt_holds 2",
    "mailshunt_hold_oldest_age_seconds 90.5",
    'mailshunt_moves_active{phase="pre-sync"} 3',
    'mailshunt_moves_active{phase="lock"} 0',
    'mailshunt_moves_ended_total{outcome="done"} 5',
  ];
  assert.deepEqual(await ofDirectory(), want);
  directory = () => Promise.reject(new Error("busy"));
  assert.deepEqual(await ofDirectory(), ["mailshunt_directory_up 0"]);
  directory = () => Promise.resolve(DIRECTORY);
  assert.deepEqual(await ofDirectory(), want);
});

test("deliveries and lookups are counted by result; nothing of a user is a label", async () => {
  const metrics = createMetrics(STATE);
  for (const status of ["sent", "sent", "deferred", "bounced", "uncertain"] as const)
    metrics.onEntry(delivery("old", status));
  metrics.onEntry(delivery("none", "bounced"));
  metrics.onEntry({ kind: "message", level: "info", part: "daemon", text: "x" });
  metrics.onLookup("socketmap", "aliases", "found", undefined);
  metrics.onLookup("socketmap", "aliases", "failed", 30);
  metrics.onLookup("dict", "quota", "absent", undefined);
  const lines = await read(metrics);
  for (const line of [
    'mailshunt_lmtp_recipients_total{backend="old",result="sent"} 2',
    'mailshunt_lmtp_recipients_total{backend="old",result="deferred"} 1',
    'mailshunt_lmtp_recipients_total{backend="old",result="bounced"} 1',
    'mailshunt_lmtp_recipients_total{backend="old",result="uncertain"} 1',
    'mailshunt_lmtp_recipients_total{backend="none",result="bounced"} 1',
    'mailshunt_lookups_total{protocol="socketmap",table="aliases",result="found"} 1',
    'mailshunt_lookups_total{protocol="socketmap",table="aliases",result="failed"} 1',
    'mailshunt_lookups_total{protocol="dict",table="quota",result="absent"} 1',
    'mailshunt_lookup_wait_seconds_bucket{le="0.025",protocol="socketmap",table="aliases"} 0',
    'mailshunt_lookup_wait_seconds_bucket{le="0.05",protocol="socketmap",table="aliases"} 1',
    'mailshunt_lookup_wait_seconds_sum{protocol="socketmap",table="aliases"} 0.03',
  ])
    assert.ok(lines.includes(line), `${line}\n${lines.join("\n")}`);
  assert.doesNotMatch(await metrics.render([]), /ada|bob|SESSION1/);
  // Asked again, the same: counters do not count their own readers.
  assert.deepEqual(await read(metrics), lines);
});

test("the page is what Prometheus reads: help and type once, lines of a metric together, names by its rules", async () => {
  const metrics = createMetrics({ ...STATE, directory: () => Promise.resolve(DIRECTORY) });
  assert.equal(metrics.contentType, "text/plain; version=0.0.4; charset=utf-8");
  const page = await metrics.render([]);
  assert.ok(page.endsWith("\n"));
  const types = new Map<string, string>();
  let current = "";
  for (const line of page.split("\n")) {
    const type = /^# TYPE (\S+) (\w+)$/.exec(line);
    if (type !== null) {
      const [, name = "", kind = ""] = type;
      assert.equal(types.has(name), false, name);
      types.set(name, kind);
      current = name;
      assert.match(name, /^[a-z_:][a-z0-9_:]*$/);
      if (name.startsWith("mailshunt_")) assert.equal(kind === "counter", name.endsWith("_total"), name);
    } else if (line !== "" && !line.startsWith("#")) assert.ok(line.startsWith(current), `${line} under ${current}`);
  }
  assert.equal(types.get("process_start_time_seconds"), "gauge");
  const documented = readFileSync(join(import.meta.dirname, "../../docs/monitoring.md"), "utf8");
  for (const name of types.keys())
    if (name.startsWith("mailshunt_"))
      assert.ok(documented.includes(`| \`${name}\` |`), `${name} is not in docs/monitoring.md`);
});

test("the event loop's delay is that since the page was last read, of the process that was latest", async () => {
  const metrics = createMetrics(STATE);
  const other = createMetrics(STATE);
  const p99 = (page: string): number =>
    Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(page)?.[1] ?? Number.NaN);
  const early = (await other.collect()).map((metric) =>
    metric.name === "nodejs_eventloop_lag_p99_seconds"
      ? { ...metric, values: metric.values.map((each) => ({ ...each, value: 7 })) }
      : metric,
  );
  await until("the delay was sampled", async () => (p99(await metrics.render([])) > 0.001 ? true : undefined));
  assert.equal(p99(await metrics.render([early])), 7);
});
