/**
 * mailshunt beside others that do what it does.
 *
 *   npm run bench [-- [--quick] [--only mail|tables|moves|directory] [--users NUMBER] [--podop FOLDER]]
 *
 * All take turns in each round, so that a busy moment of the machine hits them alike. Shown are medians.
 * NUMBER is how many users the directory has: a million by default, ten million are the goal's.
 * FOLDER is where podop's source is: core/base/libs/podop of Mailu.
 * Exits 1 when a message was lost, an answer was wrong or anything failed.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensurePackages } from "../test/support/debian-packages.ts";
import { benchDirectory } from "./directory/directory.ts";
import { FULL, QUICK } from "./effort.ts";
import { benchMail, MAIL_PACKAGES } from "./mail/mail.ts";
import { benchMoves, MOVE_PACKAGES } from "./moves/moves.ts";
import { endAll } from "./processes.ts";
import { benchTables, PODOP_PACKAGES, TABLE_PACKAGES } from "./tables/tables.ts";

const PARTS = ["mail", "tables", "moves", "directory"] as const;
type Part = (typeof PARTS)[number];

interface Request {
  readonly isQuick: boolean;
  readonly parts: readonly Part[];
  /** Of the directory. */
  readonly userCount: number;
  readonly podopFolder: string | undefined;
}

const USAGE = `usage: npm run bench [-- [--quick] [--only ${PARTS.join("|")}] [--users NUMBER] [--podop FOLDER]]`;

function readArguments(): Request | undefined {
  try {
    const {
      quick = false,
      only,
      users,
      podop,
    } = parseArgs({
      options: {
        quick: { type: "boolean" },
        only: { type: "string" },
        users: { type: "string" },
        podop: { type: "string" },
      },
    }).values;
    const parts = PARTS.filter((part) => only === undefined || only === part);
    const userCount = Number(users ?? (quick ? 200_000 : 1_000_000));
    if (parts.length === 0 || !Number.isSafeInteger(userCount) || userCount < 1) return undefined;
    return { isQuick: quick, parts, userCount, podopFolder: podop === undefined ? undefined : resolve(podop) };
  } catch {
    return undefined;
  }
}

async function run({ isQuick, parts, userCount, podopFolder }: Request): Promise<boolean> {
  const effort = isQuick ? QUICK : FULL;
  const folder = mkdtempSync(join(tmpdir(), "mailshunt-bench-"));
  // Dovecot's processes give up root before they open what is in it.
  chmodSync(folder, 0o755);
  try {
    console.log(
      `${availableParallelism()} × ${cpus()[0]?.model ?? "?"}, Node ${process.version}, ${effort.rounds} rounds`,
    );
    let isGood = true;
    for (const part of parts) {
      isGood = (await runPart(part)) && isGood;
      await endAll();
    }
    return isGood;
  } finally {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  }

  async function runPart(part: Part): Promise<boolean> {
    switch (part) {
      case "mail":
        return benchMail(folder, effort);
      case "tables":
        return benchTables(folder, effort, podopFolder);
      case "moves":
        return benchMoves(folder, effort);
      case "directory":
        await benchDirectory(folder, userCount);
        return true;
    }
  }
}

function packagesOf(part: Part): readonly string[] {
  switch (part) {
    case "mail":
      return MAIL_PACKAGES;
    case "tables":
      return TABLE_PACKAGES;
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
  process.once(signal, () => void endAll().then(() => process.exit(130)));

const packages = await ensurePackages([
  ...new Set(request.parts.flatMap(packagesOf)),
  ...(request.podopFolder === undefined ? [] : PODOP_PACKAGES),
]);
if (packages.kind === "missing") {
  console.error(`the Debian packages ${packages.packages.join(" ")} are needed: ${packages.reason}`);
  process.exit(1);
}
process.exitCode = (await run(request)) ? 0 : 1;
