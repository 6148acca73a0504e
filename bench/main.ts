/**
 * mailshunt beside others that do what it does, and how its cost grows.
 *
 *   npm run bench [-- [PART...] [--quick] [--write] …]
 *
 *   npm run bench                       everything but growth and soak: about 20 minutes
 *   npm run bench -- --quick            a first look: about 2 minutes
 *   npm run bench -- growth [--axis sessions]
 *   npm run bench -- soak --minutes 10
 *   npm run bench -- all --write        everything, and docs/performance.md anew
 *
 * All take turns in each round, so that a busy moment of the machine hits them alike. Shown are medians.
 * `--users` is how many users the directory has, `--workers` how many processes mailshunt serves with.
 * `--podop` is where podop's source is (core/base/libs/podop of Mailu), `--lmtp-proxy` that of the original lmtp_proxy.
 * Exits 1 when a message was lost, an answer was wrong or anything failed.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePackages } from "../test/support/debian-packages.ts";
import { readArguments, USAGE, type Part, type Request } from "./arguments.ts";
import { benchDirectory } from "./directory/directory.ts";
import { FULL, QUICK } from "./effort.ts";
import { benchGrowth } from "./growth/growth.ts";
import { AUTHORITY_PACKAGES, benchAuthorities } from "./mail/authorities.ts";
import { benchIdle } from "./mail/idle.ts";
import { benchMail, mailPackages } from "./mail/mail.ts";
import { benchManyUsers } from "./mail/many-users.ts";
import { benchMoves, MOVE_PACKAGES } from "./moves/moves.ts";
import { endAll } from "./processes.ts";
import { describeMachine, formatMachine } from "./report/machine.ts";
import { renderPage } from "./report/render.ts";
import { readResults, writeResults, type Results } from "./report/results.ts";
import { describeSoak, runSoak } from "./soak/soak.ts";
import { benchTables, PODOP_PACKAGES, TABLE_PACKAGES } from "./tables/tables.ts";

/** How many connections are kept idle. */
const IDLE_CONNECTIONS = 5_000;
const QUICK_IDLE_CONNECTIONS = 3_000;

/** Of everything that is started; empty before. */
let folder = "";

async function cleanUp(): Promise<void> {
  await endAll();
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
}

async function run(request: Request): Promise<boolean> {
  const { isQuick, isWriting, parts, userCount, workers, lmtpProxyFolder, podopFolder } = request;
  const effort = isQuick ? QUICK : FULL;
  const machine = describeMachine(isQuick, effort.rounds);
  folder = mkdtempSync(join(tmpdir(), "mailshunt-bench-"));
  // Dovecot's processes give up root before they open what is in it.
  chmodSync(folder, 0o755);
  try {
    if (parts.length > 0) console.log(formatMachine(machine));
    let isGood = true;
    for (const part of parts) {
      isGood = (await tryPart(part)) && isGood;
      await endAll();
    }
    if (isWriting) renderPage();
    return isGood;
  } finally {
    await cleanUp();
  }

  /** A part that breaks off takes no other with it. */
  async function tryPart(part: Part): Promise<boolean> {
    try {
      return await runPart(part);
    } catch (error) {
      console.error(`${part} FAILED:`, error);
      return false;
    }
  }

  async function runPart(part: Part): Promise<boolean> {
    const choice = { lmtpProxyFolder, workers };
    switch (part) {
      case "mail": {
        const results = keep(part, await benchMail(folder, effort, choice));
        return results.every(({ rows }) => rows.every(isFaultless));
      }
      case "idle":
        return keep(part, await benchIdle(folder, isQuick ? QUICK_IDLE_CONNECTIONS : IDLE_CONNECTIONS, choice)).every(
          isFaultless,
        );
      case "many-users":
        return keep(part, await benchManyUsers(folder, effort, workers)).every(isFaultless);
      case "authorities":
        return keep(part, await benchAuthorities(folder, effort, workers)).every(isFaultless);
      case "tables":
        return benchTables(folder, effort, podopFolder);
      case "moves":
        return keep(part, await benchMoves(folder, effort)).faults.length === 0;
      case "directory":
        keep(part, await benchDirectory(folder, userCount));
        return true;
      case "growth":
        return grow();
      case "soak":
        return describeSoak(keep(part, await runSoak(folder, request.soakMinutes, workers))).isGood;
    }
  }

  async function grow(): Promise<boolean> {
    const { axis, growthUsers, mostWorkers } = request;
    const curves = await benchGrowth(folder, {
      effort,
      only: axis,
      directoryUsers: growthUsers,
      workers: mostWorkers,
    });
    const others = axis === undefined ? [] : (readResults("growth")?.results ?? []);
    keep("growth", [...others.filter(({ name }) => name !== axis), ...curves]);
    return curves.every(isFaultless);
  }

  function keep<Name extends keyof Results>(part: Name, results: Results[Name]): Results[Name] {
    if (isWriting) writeResults(part, { machine, results });
    return results;
  }
}

const isFaultless = ({ fault }: { readonly fault: string | undefined }): boolean => fault === undefined;

function packagesOf(part: Part, { lmtpProxyFolder, podopFolder, workers }: Request): readonly string[] {
  switch (part) {
    case "mail":
    case "idle":
      return mailPackages({ lmtpProxyFolder, workers });
    case "many-users":
    case "soak":
      return ["gcc", "libc6-dev"];
    case "authorities":
      return AUTHORITY_PACKAGES;
    case "growth":
      return ["gcc", "libc6-dev", "haproxy"];
    case "tables":
      return podopFolder === undefined ? TABLE_PACKAGES : [...TABLE_PACKAGES, ...PODOP_PACKAGES];
    case "moves":
      return MOVE_PACKAGES;
    case "directory":
      return [];
  }
}

const request = readArguments();
if (request === undefined) {
  console.error(USAGE);
  process.exit(64);
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void cleanUp().then(() => process.exit(130)));

const packages = await ensurePackages([...new Set(request.parts.flatMap((part) => packagesOf(part, request)))]);
if (packages.kind === "missing") {
  console.error(`the Debian packages ${packages.packages.join(" ")} are needed: ${packages.reason}`);
  process.exit(1);
}
process.exitCode = (await run(request)) ? 0 : 1;
