import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Where moves keep what is no business of others: passwords, logs, what syncs remember. All of it is ours alone. */
export class ScratchFolders {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  logPath(moveId: string): string {
    return join(this.#folder, `${moveId}.log`);
  }

  reportPath(moveId: string): string {
    return join(this.#folder, `${moveId}.report`);
  }

  scratchPath(moveId: string): string {
    return join(this.#folder, `${moveId}.scratch`);
  }

  /** What is kept between the moves of a user from one store to another. A name could be no file's, or too long for one. */
  statePath(user: string, from: string, to: string): string {
    const name = createHash("sha256").update([user, from, to].join("\0")).digest("hex");
    return join(this.#folder, "state", name);
  }

  /** @throws what the system says */
  async create(...paths: readonly string[]): Promise<void> {
    await mkdir(this.#folder, { mode: 0o700 }).catch(ignoreExisting);
    for (const path of paths) await mkdir(path, { recursive: true, mode: 0o700 });
  }

  async write(moveId: string, name: string, content: string): Promise<void> {
    const path = join(this.scratchPath(moveId), name);
    // Never into what is there already, whatever its permissions.
    await rm(path, { force: true });
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
  }

  async remove(moveId: string): Promise<void> {
    await rm(this.scratchPath(moveId), { recursive: true, force: true });
  }
}

function ignoreExisting(error: unknown): void {
  if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
  throw error;
}
