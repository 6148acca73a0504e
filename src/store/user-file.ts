import { readFile, stat } from "node:fs/promises";

/** The users of a store from a file: one a line, blank lines and lines that begin with `#` aside. Read anew when it changes. */
export class UserFile {
  readonly #path: string;
  readonly #toName: (address: string) => string | undefined;
  #names: ReadonlySet<string> = new Set();
  /** Modification time, size and inode of what was read. */
  #version = "";

  /** @param toName gives the folder of an address; an entry and a recipient with the same folder are the same user */
  constructor(path: string, toName: (address: string) => string | undefined) {
    this.#path = path;
    this.#toName = toName;
  }

  /** @throws what the file system throws: then nobody knows who is a user */
  async has(name: string): Promise<boolean> {
    const { mtimeMs, size, ino } = await stat(this.#path);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version !== this.#version) {
      const lines = (await readFile(this.#path, "latin1")).split(/\r?\n/).map((line) => line.trim());
      const entries = lines.filter((line) => line !== "" && !line.startsWith("#"));
      this.#names = new Set(entries.map(this.#toName).filter((found) => found !== undefined));
      this.#version = version;
    }
    return this.#names.has(name);
  }
}
