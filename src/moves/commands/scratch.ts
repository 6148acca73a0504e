import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ActFailed } from "../tools.ts";

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

  failedPath(batchId: string): string {
    return join(this.#folder, `${batchId}.failed`);
  }

  scratchPath(moveId: string): string {
    return join(this.#folder, `${moveId}.scratch`);
  }

  /** What is kept between the moves of a user from one store to another. A name could be no file's, or too long for one. */
  statePath(user: string, from: string, to: string): string {
    const name = createHash("sha256").update([user, from, to].join("\0")).digest("hex");
    return join(this.#folder, "state", name);
  }

  /** Why the folder cannot be used, or be created; undefined: it can. Changes nothing. */
  faultOf(): string | undefined {
    const look = (path: string): string | undefined => {
      try {
        if (!statSync(path).isDirectory()) return `${path} is not a folder`;
        accessSync(path, constants.W_OK | constants.X_OK);
        return undefined;
      } catch (error) {
        return isSystemError(error, "ENOENT") && path !== dirname(path) ? look(dirname(path)) : describe(error);
      }
    };
    const fault = look(this.#folder);
    return fault === undefined ? undefined : this.#complaint(fault);
  }

  /** @throws ActFailed */
  async create(...paths: readonly string[]): Promise<void> {
    try {
      await mkdir(dirname(this.#folder), { recursive: true });
      await mkdir(this.#folder, { mode: 0o700 }).catch((error: unknown) => {
        if (!isSystemError(error, "EEXIST")) throw error;
      });
      for (const path of paths) await mkdir(path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new ActFailed(this.#complaint(describe(error)));
    }
  }

  #complaint(fault: string): string {
    return `moves.folder, ${this.#folder}, cannot be used: ${fault}`;
  }

  async write(moveId: string, name: string, content: string): Promise<void> {
    const path = join(this.scratchPath(moveId), name);
    // Never into what is there already, whatever its permissions.
    await rm(path, { force: true });
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
  }

  async remove(moveId: string): Promise<void> {
    const path = this.scratchPath(moveId);
    // A move without commands has none, and to look costs a twentieth of what `rm` makes of that.
    if (existsSync(path)) await rm(path, { recursive: true, force: true });
  }
}

const isSystemError = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
