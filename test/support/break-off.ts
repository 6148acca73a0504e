import type { Socket } from "node:net";

/** Ends a connection without a FIN: RST on TCP; a unix socket knows no RST and is closed with whatever was not read. */
export function breakOff(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
