import { execFile, spawn } from "node:child_process";
import { access, constants, mkdtemp, readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export type PackagesAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "missing"; readonly packages: string[]; readonly reason: string };

const INSTALLER = join(import.meta.dirname, "install-packages.sh");
/** Exists while an installation is under way, or after one that was killed. */
const UNFINISHED = "/var/lib/mailshunt-test-packages";
/** How much of what apt-get said a reason repeats. */
const REASON_LINES = 8;

/**
 * Makes sure that Debian packages are installed, and installs them where that is allowed: as root, with apt-get.
 * Nothing is removed, no service is started or enabled, and stderr says beforehand what is installed.
 * Any number of processes may ask at once. Never throws for what cannot be installed: the answer says why.
 */
export async function ensurePackages(packages: readonly string[]): Promise<PackagesAnswer> {
  const missing = await findMissing(packages);
  if (missing.length === 0 && !existsSync(UNFINISHED)) return { kind: "ready" };
  const obstacle = await findObstacle();
  if (obstacle !== undefined)
    return missing.length === 0 ? { kind: "ready" } : { kind: "missing", packages: missing, reason: obstacle };
  const reason = await install(packages);
  const still = await findMissing(packages);
  if (still.length === 0 && reason === undefined) return { kind: "ready" };
  return { kind: "missing", packages: still, reason: reason ?? "apt-get did not install them" };
}

async function findMissing(packages: readonly string[]): Promise<string[]> {
  const found = await Promise.all(packages.map(isInstalled));
  return packages.filter((_, index) => found[index] !== true);
}

function isInstalled(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile("dpkg-query", ["-W", "-f", "${Status}", name], (error, stdout) => {
      resolve(error === null && stdout.trim() === "install ok installed");
    });
  });
}

/** Why nothing may be installed here, if so. */
async function findObstacle(): Promise<string | undefined> {
  if (!(await hasProgram("apt-get")) || !(await hasProgram("dpkg-query")))
    return "this system has no apt-get; they are packages of Debian";
  if (process.geteuid?.() !== 0) return "only root may install packages";
  return undefined;
}

async function hasProgram(name: string): Promise<boolean> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = await Promise.allSettled(folders.map((folder) => access(join(folder, name), constants.X_OK)));
  return found.some(({ status }) => status === "fulfilled");
}

/** @returns what went wrong, or nothing */
async function install(packages: readonly string[]): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "mailshunt-packages-"));
  try {
    const log = join(folder, "log");
    const code = await runDetached([log, ...packages]);
    if (code === 0) return undefined;
    if (code === 3) return "another installation did not end";
    const lines = (await readFile(log, "utf8").catch(() => "")).trim().split("\n");
    const errors = lines.filter((line) => /^(E:|dpkg: error)/.test(line));
    const said = (errors.length > 0 ? errors : lines).slice(-REASON_LINES);
    return [code === 2 ? "a service runs:" : "apt-get failed:", ...said].join("\n  ");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In a session of its own, so that Ctrl-C in the terminal does not stop dpkg half way. */
function runDetached(args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(INSTALLER, args, { detached: true, stdio: ["ignore", "ignore", "inherit"] });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code));
  });
}
