import { open, unlink, type FileHandle } from "node:fs/promises";

/** Messages up to this many bytes wait in memory for their end. */
const MAX_MEMORY_BYTES = 65_536;
/** Bytes waiting for the disk past which the client is not read. */
const CONGESTED_BYTES = 262_144;
const COPY_BYTES = 262_144;

/** The whole content of a message, ready to be copied into mailboxes. */
export interface Content {
  readonly bytes: number;
  /** Appends all of it to a file. */
  copyTo(target: FileHandle): Promise<void>;
}

/** Keeps a message until it is complete: small ones in memory, others in a file that nobody takes for mail. */
export class Spool {
  readonly #path: string;
  readonly #onDrain: () => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #bytes = 0;
  #file: FileHandle | undefined;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;
  #isDiscarded = false;

  /** @param path of the file, should one be needed */
  constructor(path: string, onDrain: () => void) {
    this.#path = path;
    this.#onDrain = onDrain;
  }

  get isCongested(): boolean {
    return this.#waitingBytes > CONGESTED_BYTES;
  }

  append(piece: Buffer): void {
    if (this.#isDiscarded || this.#failure !== undefined) return;
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
    this.#bytes += piece.length;
    if (this.#bytes > MAX_MEMORY_BYTES) this.#writing ??= this.#write();
  }

  /** @throws whatever writing the file threw */
  async finish(): Promise<Content> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
    const pieces = this.#waiting;
    const file = this.#file;
    const bytes = this.#bytes;
    return {
      bytes,
      copyTo: (target) => (file === undefined ? writeAll(target, pieces) : copy(file, target, bytes)),
    };
  }

  /** Lets go of memory and file. May be called at any time and again. */
  async discard(): Promise<void> {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    await this.#writing;
    this.#waiting = [];
    this.#waitingBytes = 0;
    await this.#file?.close();
  }

  /** Never rejects: a failure is kept for `finish`. */
  async #write(): Promise<void> {
    try {
      if (this.#file === undefined) {
        this.#file = await open(this.#path, "wx+", 0o600);
        // The open file is all we need; unlinked, it is gone with the process however that ends.
        await unlink(this.#path);
      }
      while (this.#waiting.length > 0 && !this.#isDiscarded) {
        const pieces = this.#waiting;
        this.#waiting = [];
        await writeAll(this.#file, pieces);
        const wasCongested = this.isCongested;
        for (const piece of pieces) this.#waitingBytes -= piece.length;
        if (wasCongested && !this.isCongested) this.#onDrain();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#waiting = [];
      const wasCongested = this.isCongested;
      this.#waitingBytes = 0;
      if (wasCongested) this.#onDrain();
    } finally {
      this.#writing = undefined;
    }
  }
}

/** writev(2) may write less than it was given. */
async function writeAll(target: FileHandle, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) at += (await target.write(piece, at)).bytesWritten;
  }
}

async function copy(source: FileHandle, target: FileHandle, bytes: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, bytes));
  for (let at = 0; at < bytes;) {
    const { bytesRead } = await source.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`spool file ends at ${at} of ${bytes} bytes`);
    await writeAll(target, [buffer.subarray(0, bytesRead)]);
    at += bytesRead;
  }
}
