import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { POSTGRES_ADMIN, POSTGRES_PACKAGES, startPostgres } from "../../test/support/postgres.ts";
import type { Effort } from "../effort.ts";
import { compile } from "../generator/compile.ts";
import { fillDirectory } from "../growth/fill-directory.ts";
import { startMailshunt, type TableSection } from "../mailshunt.ts";
import { awaitListening, endPrograms, start, type Program } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { median } from "../statistics.ts";
import { awaitTable } from "./many-users.ts";
import { runRound, type Round } from "./round.ts";
import { startSink, type Sink } from "./sinks.ts";
import { runLmtpLoad } from "./sources.ts";

/** Who is asked where users live, and what that costs. */
export interface AuthorityRow {
  readonly name: string;
  /** Messages per second, one for each round. */
  readonly rates: readonly number[];
  readonly p99Ms: number;
  /** Of mailshunt alone, for each message. */
  readonly cpuMicros: number;
  readonly fault: string | undefined;
}

export const AUTHORITY_PACKAGES = ["gcc", "libc6-dev", "redis-server", ...POSTGRES_PACKAGES];

const USERS = 100_000;
const TRAFFIC = {
  sessions: 10,
  messageBytes: 4_096,
  recipients: 1,
  keepsConnection: true,
  isPipelined: true,
  users: USERS,
};
/** Room for everybody, and longer than the run: the warm-up fills a part of it. */
const CACHE = { ttl: "1h", max_entries: USERS };

interface Candidate {
  readonly name: string;
  readonly port: number;
  readonly program: Program;
}

export async function benchAuthorities(
  folder: string,
  effort: Effort,
  workers: number | undefined,
): Promise<AuthorityRow[]> {
  const own = join(folder, "authorities");
  mkdirSync(own);
  const loader = compile("lmtp-load", own);
  const sink = await startSink("lmtp-sink", own, 1);
  const redis = await startRedis(own);
  const postgres = await startPostgres();
  try {
    const sql = fillPostgres(postgres.socket, postgres.port);
    const inRedis = { type: "redis", address: `unix:${redis.socket}` };
    const candidates = await startCandidates(own, sink, workers, [
      ["table in memory", new Map(Array.from({ length: USERS }, (_, user) => [`user${user}`, 0]))],
      ["directory (SQLite)", undefined],
      ["PostgreSQL", sql],
      ["PostgreSQL, cached", { ...sql, cache: CACHE }],
      ["Redis", inRedis],
      ["Redis, cached", { ...inRedis, cache: CACHE }],
    ]);
    for (const { port } of candidates) await awaitTable(loader, port);
    const rounds = await takeTurns(candidates, effort.rounds, (candidate) =>
      runRound(candidate, sink, (port) => runLmtpLoad(loader, { ...TRAFFIC, seconds: effort.seconds }, port)),
    );
    const rows = [...rounds].map(([{ name }, results]) => toRow(name, results));
    console.log(`where ${USERS.toLocaleString("en")} users live`);
    for (const row of rows) console.log(`  ${row.name.padEnd(24)}${formatRow(row)}`);
    await endPrograms([...candidates.map(({ program }) => program), redis.program, sink.program]);
    return rows;
  } finally {
    await postgres.stop();
  }
}

/** @param authorities undefined: the directory */
async function startCandidates(
  folder: string,
  sink: Sink,
  workers: number | undefined,
  authorities: readonly (readonly [name: string, users: ReadonlyMap<string, number> | TableSection | undefined])[],
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const [name, users] of authorities) {
    const own = join(folder, `${candidates.length}`);
    mkdirSync(own);
    const directoryPath = join(own, "directory.db");
    if (users === undefined) await fillDirectory(directoryPath, 0, USERS);
    const { port, program } = await startMailshunt({
      folder: own,
      sinkPorts: sink.ports,
      users: users ?? new Map(),
      workers,
      ...(users === undefined ? { directoryPath } : {}),
    });
    candidates.push({ name, port, program });
  }
  return candidates;
}

async function startRedis(folder: string): Promise<{ readonly socket: string; readonly program: Program }> {
  const socket = join(folder, "redis.sock");
  const nowhere = ["--save", "", "--appendonly", "no", "--dir", folder];
  const program = start("redis-server", ["--unixsocket", socket, "--port", "0", ...nowhere]);
  await awaitListening(program, socket);
  const input = Array.from({ length: USERS }, (_, user) => `SET user${user} b0\n`).join("");
  execFileSync("redis-cli", ["-s", socket], { input, stdio: ["pipe", "ignore", "inherit"] });
  return { socket, program };
}

function fillPostgres(socket: string, port: number): TableSection {
  const statements = [
    "CREATE TABLE users (name text PRIMARY KEY, store text NOT NULL)",
    `INSERT INTO users SELECT 'user' || number, 'b0' FROM generate_series(0, ${USERS - 1}) AS number`,
    "ANALYZE users",
  ].flatMap((statement) => ["-c", statement]);
  execFileSync("psql", ["-q", "-h", dirname(socket), "-p", `${port}`, "-U", POSTGRES_ADMIN, ...statements]);
  return {
    type: "sql",
    driver: "postgres",
    address: `unix:${socket}`,
    database: "postgres",
    user: POSTGRES_ADMIN,
    get: "SELECT store FROM users WHERE name = :key",
  };
}

function toRow(name: string, rounds: readonly Round[]): AuthorityRow {
  const done = rounds.slice(1).filter((round) => round.kind === "done");
  return {
    name,
    rates: done.map(({ messagesPerSecond }) => messagesPerSecond),
    p99Ms: median(done.map(({ sent }) => sent.p99Ms ?? Number.NaN)),
    cpuMicros: median(done.map(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage ?? Number.NaN)),
    fault: rounds.find((round) => round.kind === "failed")?.reason,
  };
}

function formatRow({ rates, p99Ms, cpuMicros, fault }: AuthorityRow): string {
  if (fault !== undefined) return `FAILED: ${fault}`;
  return `${median(rates).toFixed(0).padStart(7)} messages/s, p99 ${p99Ms.toFixed(1)} ms, ${cpuMicros.toFixed(0)} µs of CPU each`;
}
