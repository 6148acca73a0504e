import type { Socket } from "node:net";

/** Bytes kept before the socket is paused. */
const HIGH_WATER_BYTES = 65_536;

/** The bytes of a socket, taken when the reader wants them. Nothing more than `HIGH_WATER_BYTES` is read ahead. */
export interface ByteQueue {
  /** A line with its LF, or undefined at the end of the stream (what is left of a line is dropped). */
  line(): Promise<Buffer | undefined>;
  /** Whatever has come, at least one byte, or undefined at the end. */
  some(): Promise<Buffer | undefined>;
  /** Puts bytes back in front. */
  unread(bytes: Buffer): void;
  /** How many bytes have come and have not been taken. */
  readonly waitingBytes: number;
  /** Everything that has come and has not been taken, without taking it. */
  peek(): Buffer;
}

export function byteQueue(socket: Socket): ByteQueue {
  let pending: Buffer = Buffer.alloc(0);
  let ended = false;
  let wake: () => void = () => {};

  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    if (pending.length > HIGH_WATER_BYTES) socket.pause();
    wake();
  });
  const onEnd = (): void => {
    ended = true;
    wake();
  };
  socket.once("end", onEnd);
  socket.once("close", onEnd);

  const take = (bytes: number): Buffer => {
    const taken = pending.subarray(0, bytes);
    pending = pending.subarray(bytes);
    return taken;
  };
  const more = async (): Promise<boolean> => {
    if (ended) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    socket.resume();
    await promise;
    return true;
  };

  return {
    async line() {
      let searched = 0;
      for (;;) {
        const at = pending.indexOf(0x0a, searched);
        if (at >= 0) return take(at + 1);
        searched = pending.length;
        if (!(await more())) return undefined;
      }
    },
    async some() {
      while (pending.length === 0) if (!(await more())) return undefined;
      return take(pending.length);
    },
    unread(bytes) {
      pending = Buffer.concat([bytes, pending]);
    },
    get waitingBytes() {
      return pending.length;
    },
    peek: () => pending,
  };
}
