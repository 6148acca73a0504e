import type { Socket } from "node:net";
import type { Source } from "../../src/tables/source.ts";
import type { Answer } from "../../src/tables/table.ts";
import { SOCKETMAP } from "../../src/tables/socketmap/socketmap-table.ts";
import { createFakeClock } from "./fake-clock.ts";
import { openType } from "./open-type.ts";
import { startRawServer } from "./raw-server.ts";

export interface SocketmapTable {
  readonly source: Source;
  readonly accepted: () => number;
  lookup(key: string, signal?: AbortSignal): Promise<Answer>;
}

/** The table without a guard, asking a server of bytes. */
export async function openSocketmapTable(
  t: { after(clean: () => void | Promise<void>): void },
  serve: (socket: Socket, number: number) => void,
  { pool = "10", clock = createFakeClock() } = {},
): Promise<SocketmapTable> {
  const server = await startRawServer(t, serve);
  const { source } = openType(SOCKETMAP, { address: `127.0.0.1:${server.port}`, map: "users", pool }, { clock });
  t.after(() => source.close?.());
  return {
    source,
    accepted: () => server.accepted,
    lookup: async (key, signal = new AbortController().signal) => source.lookup(key, signal),
  };
}

/** Answers each request with the same bytes. */
export const always =
  (bytes: string | Uint8Array) =>
  (socket: Socket): void =>
    void socket.on("data", () => socket.write(bytes));
