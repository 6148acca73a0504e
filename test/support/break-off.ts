import type { Socket } from "node:net";

/**
 * Ends a connection without a FIN: RST on TCP; a unix socket knows no RST and is closed with whatever was not read.
 * So is a TCP socket whose FIN is under way: libuv refuses to reset it (EINVAL of `uv_tcp_close_reset`), after which Node 26
 * never closes the handle, and turns round for ever, without running any JavaScript, when the process is to end.
 */
export function breakOff(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily === undefined || isFinUnderWay(socket)) socket.destroy();
  else socket.resetAndDestroy();
}

/** From the last byte's leaving until libuv, a turn later, has shut the sending side down. */
function isFinUnderWay({ writableEnded, writableFinished, writableLength }: Socket): boolean {
  return writableEnded && !writableFinished && writableLength === 0;
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
