import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { run, runOk } from "./processes.ts";

/** Downloads stay here, for the next run. */
const CACHE = "/var/cache/mailshunt-test-packages";

export type UnpackedAnswer =
  /** What the package would have put below `/` is below `folder`. */
  { readonly kind: "ready"; readonly folder: string } | { readonly kind: "missing"; readonly reason: string };

/**
 * The files of a Debian package that cannot be installed beside others, such as `dovecot-imapd` beside `cyrus-imapd`: its
 * programs run from a folder, with the libraries of the package `sibling`, which is installed and has the same version.
 */
export async function unpackPackage(name: string, sibling: string): Promise<UnpackedAnswer> {
  if (process.geteuid?.() !== 0) return { kind: "missing", reason: "only root may keep downloads" };
  const version = await run(["dpkg-query", "-W", "-f", "${Version}", sibling]).catch(() => undefined);
  if (version?.code !== 0) return { kind: "missing", reason: `${sibling} is not installed` };
  const folder = join(CACHE, `${name}_${version.stdout}`);
  if (await isThere(folder)) return { kind: "ready", folder };
  await runOk(["mkdir", "-p", CACHE]);
  const draft = await mkdtemp(join(CACHE, ".new-"));
  try {
    const reason = await download(`${name}=${version.stdout}`, draft);
    if (reason !== undefined) return { kind: "missing", reason };
    const [archive = ""] = await readdir(draft);
    await runOk(["dpkg-deb", "-x", join(draft, archive), join(draft, "files")]);
    // Another test may have been first.
    await rename(join(draft, "files"), folder).catch(async (error: unknown) => {
      if (!(await isThere(folder))) throw error;
    });
    return { kind: "ready", folder };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** @returns what went wrong, or nothing */
async function download(what: string, folder: string): Promise<string | undefined> {
  const get = ["sh", "-c", 'cd "$1" && exec apt-get -q -o APT::Sandbox::User=root download "$2"', "sh", folder, what];
  if ((await run(get)).code === 0) return undefined;
  await run(["apt-get", "-q", "update"]);
  const { code, stderr } = await run(get);
  return code === 0 ? undefined : `apt-get cannot download ${what}: ${stderr.trim()}`;
}

const isThere = (folder: string): Promise<boolean> =>
  stat(folder).then(
    () => true,
    () => false,
  );
