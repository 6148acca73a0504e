import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "../../src/core/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import { NO_METRICS } from "../../src/core/metrics.ts";
import type { ConnectionServer } from "../../src/servers/connection-server.ts";
import type { DictListener, SocketmapListener, TableListener, TcpTableListener } from "../../src/servers/options.ts";
import { createTableServer } from "../../src/servers/tables/table-server.ts";
import type { Table } from "../../src/tables/table.ts";

/** Ends a test that waits in vain, in ms. */
const PATIENCE_MS = 10_000;

export interface TableClient {
  readonly socket: Socket;
  /** Sends bytes, one character each, and waits until the server has read them. */
  send(bytes: string): Promise<void>;
  /** The next bytes are these. */
  expect(bytes: string): Promise<void>;
  /** The server closes, and says nothing more before that. */
  expectEnd(): Promise<void>;
  /** So many bytes, whatever they are. */
  take(count: number): Promise<string>;
  /** Everything until the server closes. */
  takeAll(): Promise<string>;
  /** Says no more, and still reads. */
  end(): void;
}

export interface Served {
  readonly server: ConnectionServer;
  /** Those in effect; changing them is what a reload does. */
  readonly tables: Map<string, Table>;
  /** What was logged. */
  readonly lines: string[];
  /** The server's side of the newest connection. */
  readonly newestSocket: () => Socket;
  connect(): Promise<TableClient>;
}

export interface ServedOptions {
  readonly listener: TableListener;
  readonly tables: readonly Table[];
  readonly clock?: Clock;
}

const LIMITS = {
  address: { kind: "tcp", host: "127.0.0.1", port: 0 },
  owner: undefined,
  group: undefined,
  permissions: undefined,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 10_000,
} as const;

export const SOCKETMAP: SocketmapListener = { ...LIMITS, protocol: "socketmap", tables: undefined };
export const DICT: DictListener = { ...LIMITS, protocol: "dict", tables: undefined, keys: "podop" };
export const TCP_TABLE: TcpTableListener = { ...LIMITS, protocol: "tcp-table", table: "alias" };

/** Serves tables from this process, as a listener of the daemon does. */
export async function serveTables(
  t: { after(clean: () => Promise<void>): void },
  { listener, tables: given, clock = systemClock }: ServedOptions,
): Promise<Served> {
  const tables = new Map(given.map((table) => [table.name, table]));
  const lines: string[] = [];
  const server = createTableServer({
    listener,
    tables: () => tables,
    isDebugging: () => false,
    clock,
    metrics: NO_METRICS,
    log: { write: (entry) => void (entry.kind === "message" && lines.push(`${entry.level}: ${entry.text}`)) },
  });
  /** By the client's port: bytes that the server has read. */
  const arrived = new Map<number, { count: number; onMore: () => void }>();
  let newest: Socket | undefined;
  const sockets = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    newest = socket;
    const counter = { count: 0, onMore: (): void => undefined };
    arrived.set(socket.remotePort ?? 0, counter);
    server.accept(socket);
    socket.on("data", (chunk: Buffer) => {
      counter.count += chunk.length;
      counter.onMore();
    });
  });
  sockets.listen(0, "127.0.0.1");
  await once(sockets, "listening");
  const clients: TableClient[] = [];
  t.after(async () => {
    for (const { socket } of clients) socket.destroy();
    server.destroy();
    sockets.close();
    await once(sockets, "close");
  });

  const whenRead = (port: number, count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        const counter = arrived.get(port);
        if (counter === undefined) return void setImmediate(look);
        counter.onMore = look;
        if (counter.count >= count) resolve();
      };
      look();
    });

  return {
    server,
    tables,
    lines,
    newestSocket: () => {
      assert.ok(newest !== undefined, "nobody has connected");
      return newest;
    },
    async connect() {
      const socket = connect({ port: (sockets.address() as AddressInfo).port, allowHalfOpen: true, noDelay: true });
      await once(socket, "connect");
      const client = toClient(socket, whenRead);
      clients.push(client);
      return client;
    },
  };
}

function toClient(socket: Socket, whenRead: (port: number, count: number) => Promise<void>): TableClient {
  const port = socket.localPort ?? 0;
  let pending = "";
  let isOver = false;
  const over = Promise.withResolvers<void>();
  let sent = 0;
  let wake = (): void => undefined;
  socket.on("data", (chunk: Buffer) => {
    pending += chunk.toString("latin1");
    wake();
  });
  const end = (): void => {
    isOver = true;
    over.resolve();
    wake();
  };
  socket.on("error", end);
  socket.once("end", end);
  socket.once("close", end);

  const waitFor = async (what: string, isThere: () => boolean): Promise<void> => {
    const dueMs = performance.now() + PATIENCE_MS;
    while (!isThere()) {
      const leftMs = dueMs - performance.now();
      if (leftMs <= 0) assert.fail(`no ${what}; what came is ${JSON.stringify(pending.slice(0, 300))}`);
      await new Promise<void>((resolve) => {
        const timeout = setTimeout(resolve, leftMs);
        wake = () => {
          clearTimeout(timeout);
          resolve();
        };
      });
    }
  };
  const takeNow = (count: number): string => {
    const taken = pending.slice(0, count);
    pending = pending.slice(count);
    return taken;
  };

  return {
    socket,
    async send(bytes) {
      sent += bytes.length;
      socket.write(Buffer.from(bytes, "latin1"));
      await Promise.race([whenRead(port, sent), over.promise]);
    },
    async expect(bytes) {
      await waitFor(JSON.stringify(bytes), () => isOver || pending.length >= bytes.length);
      assert.equal(takeNow(bytes.length), bytes);
    },
    async expectEnd() {
      await waitFor("end", () => isOver);
      assert.equal(pending, "");
    },
    async take(count) {
      await waitFor(`${count} bytes`, () => isOver || pending.length >= count);
      assert.ok(pending.length >= count, `closed after ${pending.length} of ${count} bytes`);
      return takeNow(count);
    },
    async takeAll() {
      await waitFor("end", () => isOver);
      return takeNow(pending.length);
    },
    end: () => void socket.end(),
  };
}
