import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Effort } from "../effort.ts";
import { readCpuMicros } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { writeEntries } from "./entries.ts";
import { compilePrograms, runLoad } from "./generator.ts";
import { showGoals } from "./goals.ts";
import { showRows, toRow, type TableRound } from "./rows.ts";
import { startDovecot, startHttpService, startMailshunt, startMapServer, startPodop, startRedis } from "./servers.ts";
import type { ServersParts, TableServer } from "./servers.ts";

export const TABLE_PACKAGES = ["dovecot-core", "gcc", "libc6-dev", "redis-server"];
export const PODOP_PACKAGES = ["python3-aiohttp"];

/**
 * Our table servers beside others, asked for the same keys by one generator that checks each answer.
 * @param podopFolder undefined where there is no podop to compare with
 * @returns whether every answer was right
 */
export async function benchTables(folder: string, effort: Effort, podopFolder: string | undefined): Promise<boolean> {
  const parts = prepare(folder);
  const servers = await startServers(parts, podopFolder);
  let isGood = true;
  for (const connections of [10, 1]) {
    console.log(`tables, ${connections} connection${connections === 1 ? "" : "s"}, one request in flight each`);
    const rounds = await takeTurns(servers, effort.rounds, (server) =>
      askServer(parts, server, connections, effort.tableSeconds),
    );
    const rows = [...rounds].map(([server, results]) => toRow(server.name, results));
    showRows(rows);
    if (connections === 10) showGoals(rows);
    isGood &&= rows.every(({ fault }) => fault === undefined);
  }
  return isGood;
}

export function prepare(folder: string): ServersParts {
  const own = join(folder, "tables");
  mkdirSync(own);
  const entriesPath = join(own, "entries");
  writeEntries(entriesPath);
  return { folder: own, programs: compilePrograms(own), entriesPath };
}

async function startServers(parts: ServersParts, podopFolder: string | undefined): Promise<TableServer[]> {
  const httpService = await startHttpService(parts);
  return [
    ...(await startRedis(parts)),
    await startMapServer(parts),
    await startDovecot(parts),
    ...(await startMailshunt(parts, httpService)),
    ...(podopFolder === undefined ? [] : [await startPodop(parts, httpService, podopFolder)]),
    httpService,
  ];
}

/** One server's turn in a round. */
export async function askServer(
  { programs, entriesPath }: ServersParts,
  { protocol, address, map, program }: TableServer,
  connections: number,
  seconds: number,
): Promise<TableRound> {
  const pid = program?.child.pid;
  const cpuBefore = pid === undefined ? undefined : readCpuMicros(pid);
  try {
    const figures = await runLoad(programs.load, { protocol, address, map, connections, seconds, entriesPath });
    const { lookups, p50Ms, p99Ms } = figures;
    const cpuMicros = pid === undefined || cpuBefore === undefined ? undefined : readCpuMicros(pid) - cpuBefore;
    return {
      kind: "done",
      lookupsPerSecond: lookups / figures.seconds,
      p50Ms,
      p99Ms,
      cpuMicrosPerLookup: cpuMicros === undefined ? undefined : cpuMicros / lookups,
    };
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
}
