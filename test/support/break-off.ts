import type { Socket } from "node:net";

/** Ends a connection without a FIN: RST on TCP; a unix socket knows no RST and is closed with whatever was not read. */
export function breakOff(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** Sleeps, but no longer than the connection lives: a test that is over does not wait. */
export function sleepUnlessClosed(socket: Socket, pauseMs: number): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      socket.off("close", end);
      resolve();
    };
    const timer = setTimeout(end, pauseMs);
    socket.once("close", end);
  });
}
