/**
 * mailshunt beside others that do what it does.
 *
 *   npm run bench [-- [--quick] [--only mail|tables] [--podop FOLDER]]
 *
 * All take turns in each round, so that a busy moment of the machine hits them alike. Shown are medians.
 * FOLDER is where podop's source is: core/base/libs/podop of Mailu.
 * Exits 1 when a message was lost, an answer was wrong or anything failed.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensurePackages } from "../test/support/debian-packages.ts";
import { FULL, QUICK } from "./effort.ts";
import { benchMail, MAIL_PACKAGES } from "./mail/mail.ts";
import { endAll } from "./processes.ts";
import { benchTables, PODOP_PACKAGES, TABLE_PACKAGES } from "./tables/tables.ts";

interface Request {
  readonly isQuick: boolean;
  readonly wantsMail: boolean;
  readonly wantsTables: boolean;
  readonly podopFolder: string | undefined;
}

function readArguments(): Request | undefined {
  try {
    const {
      quick = false,
      only,
      podop,
    } = parseArgs({
      options: { quick: { type: "boolean" }, only: { type: "string" }, podop: { type: "string" } },
    }).values;
    if (only !== undefined && only !== "mail" && only !== "tables") return undefined;
    return {
      isQuick: quick,
      wantsMail: only !== "tables",
      wantsTables: only !== "mail",
      podopFolder: podop === undefined ? undefined : resolve(podop),
    };
  } catch {
    return undefined;
  }
}

async function run({ isQuick, wantsMail, wantsTables, podopFolder }: Request): Promise<boolean> {
  const effort = isQuick ? QUICK : FULL;
  const folder = mkdtempSync(join(tmpdir(), "mailshunt-bench-"));
  // Dovecot's processes give up root before they open what is in it.
  chmodSync(folder, 0o755);
  try {
    console.log(
      `${availableParallelism()} × ${cpus()[0]?.model ?? "?"}, Node ${process.version}, ${effort.rounds} rounds`,
    );
    let isGood = true;
    if (wantsMail) isGood = await benchMail(folder, effort);
    await endAll();
    if (wantsTables) isGood = (await benchTables(folder, effort, podopFolder)) && isGood;
    return isGood;
  } finally {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

const request = readArguments();
if (request === undefined) {
  console.error("usage: npm run bench [-- [--quick] [--only mail|tables] [--podop FOLDER]]");
  process.exit(64);
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void endAll().then(() => process.exit(130)));

const packages = await ensurePackages([
  ...(request.wantsMail ? MAIL_PACKAGES : []),
  ...(request.wantsTables ? TABLE_PACKAGES : []),
  ...(request.podopFolder === undefined ? [] : PODOP_PACKAGES),
]);
if (packages.kind === "missing") {
  console.error(`the Debian packages ${packages.packages.join(" ")} are needed: ${packages.reason}`);
  process.exit(1);
}
process.exitCode = (await run(request)) ? 0 : 1;
