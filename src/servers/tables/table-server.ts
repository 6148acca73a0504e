import type { Clock } from "../../core/clock.ts";
import { formatEndpoint } from "../../core/endpoint.ts";
import type { Log, LogLevel } from "../../core/log.ts";
import type { Quotas } from "../../core/quota.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { Answer, Table } from "../../tables/table.ts";
import { ConnectionServer } from "../connection-server.ts";
import type { TableListener } from "../options.ts";
import { DICT_KEYS } from "./dict-keys.ts";
import { DictSession } from "./dict-session.ts";
import type { ServedTables } from "./served-tables.ts";
import { SocketmapSession } from "./socketmap-session.ts";
import { TableConnection } from "./table-connection.ts";
import type { TableSession } from "./table-session.ts";
import { TcpTableSession } from "./tcp-table-session.ts";

export interface TableServerParts {
  readonly listener: TableListener;
  /** Those of the configuration in force, by name: asked anew for every request. */
  readonly tables: () => ReadonlyMap<string, Table>;
  /** Whether lines of the level `debug` are written: one for each lookup. */
  readonly isDebugging: () => boolean;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** See `ConnectionServer`. */
  readonly quotas?: Quotas | undefined;
}

/** A name that no table has is told again after this time, in ms. */
const REPEAT_MS = 60_000;

/** Such names told in that time: what clients ask for must not fill the log. */
const MAX_UNKNOWN_NAMES = 10;

/** Of a name or key in a line of the log, in characters: a client may send a megabyte. */
const MAX_SHOWN = 100;

/** Serves tables to the clients of one listener. */
export function createTableServer(parts: TableServerParts): ConnectionServer {
  const { listener, clock, log, quotas } = parts;
  const served = serve(parts);
  return new ConnectionServer({
    limits: listener,
    quotas,
    refusal: "",
    part: "table",
    log,
    connect: (socket, address, onClosed) =>
      new TableConnection(socket, {
        session: newSession(listener, served),
        clock,
        onFault: (reason) => {
          const from = address === undefined ? "" : ` from ${address}`;
          const text = `${listener.protocol} client${from} at ${formatEndpoint(listener.address)} disconnected: ${reason}`;
          log.write({ kind: "message", level: "warning", part: "table", text });
        },
        onClosed,
      }),
  });
}

function newSession(listener: TableListener, served: ServedTables): TableSession {
  switch (listener.protocol) {
    case "socketmap":
      return new SocketmapSession(served);
    case "dict":
      return new DictSession(served, DICT_KEYS[listener.keys]);
    case "tcp-table":
      return new TcpTableSession(served, listener.table);
  }
}

function serve({ listener, tables, isDebugging, clock, log, metrics }: TableServerParts): ServedTables {
  const names = listener.protocol === "tcp-table" ? undefined : listener.tables;
  /** When each was told, oldest first. */
  const toldUnknown = new Map<string, number>();

  function say(level: LogLevel, text: string): void {
    log.write({ kind: "message", level, part: "table", text });
  }

  function sayUnknown(name: string): void {
    const nowMs = clock.nowMs();
    for (const [told, toldMs] of toldUnknown) if (nowMs - toldMs >= REPEAT_MS) toldUnknown.delete(told);
    const shown = show(name);
    if (toldUnknown.has(shown) || toldUnknown.size >= MAX_UNKNOWN_NAMES) return;
    toldUnknown.set(shown, nowMs);
    const known = [...(names ?? tables()).keys()].join(", ");
    say(
      "warning",
      `a ${listener.protocol} client asks for table ${shown}, which is not served at ${formatEndpoint(listener.address)}: known are ${known}`,
    );
  }

  return {
    clock,
    find(wireName) {
      const name = names === undefined ? wireName : names.get(wireName);
      const table = name === undefined ? undefined : tables().get(name);
      if (table === undefined) sayUnknown(wireName);
      return table;
    },
    // Values may be passwords, so they are no part of it.
    onLookup(wireName, key, answer: Answer, waitedMs) {
      metrics.onLookup(listener.protocol, wireName, answer.kind, waitedMs);
      if (!isDebugging()) return;
      const reason = answer.kind === "failed" ? `: ${answer.reason}` : "";
      say("debug", `${listener.protocol} ${wireName} ${show(key)}: ${answer.kind}${reason}`);
    },
    onWrite(wireName, keys, outcome) {
      const isGood = outcome === "done" || outcome === "absent";
      if (isGood && !isDebugging()) return;
      const shown = keys.slice(0, 3).map(show);
      const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : "";
      say(
        isGood ? "debug" : "warning",
        `${listener.protocol} ${wireName} write ${shown.join(", ")}${more}: ${outcome}`,
      );
    },
  };
}

const show = (text: string): string => JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
