import { formatEndpoint } from "../../core/endpoint.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import { required, withDefault } from "../../core/option-schema.ts";
import { count, remoteAddress, scalar } from "../../core/option-values.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { decodeReply } from "../../protocols/socketmap/reply.ts";
import type { SocketmapAnswer } from "../../protocols/socketmap/reply.ts";
import { encodeRequest, MAX_REQUEST_BYTES } from "../../protocols/socketmap/request.ts";
import { ABSENT } from "../table.ts";
import type { Answer } from "../table.ts";
import { defineType } from "../table-type.ts";
import { SocketmapClient } from "./socketmap-client.ts";
import type { SocketmapReply } from "./socketmap-client.ts";

export interface SocketmapTableOptions {
  readonly address: Endpoint;
  readonly map: string;
  readonly maxConnections: number;
}

export const SOCKETMAP = defineType({
  description: "A map of another socketmap server.",
  kind: "remote",
  entries: {
    address: required(remoteAddress(), { description: "Where that server listens.", example: '"127.0.0.1:2500"' }),
    map: required(scalar("a name without blanks", parseMapName), {
      description: "The name under which it serves the map.",
      example: "alias",
    }),
    pool: withDefault(count(1, 1000), "10", {
      description: "Connections at once, at most; each has one lookup under way, and is closed after 8 s without one.",
    }),
  },
  toOptions: ({ address, map, pool }): SocketmapTableOptions => ({ address, map, maxConnections: pool }),
  open({ address, map, maxConnections }, { clock }) {
    const client = new SocketmapClient(address, maxConnections, clock);
    const where = `${map} at ${formatEndpoint(address)}`;

    async function lookup(key: string, signal: AbortSignal): Promise<Answer> {
      const request = encodeRequest(map, key);
      if (request.length > MAX_REQUEST_BYTES)
        return { kind: "failed", reason: `${where}: the key is longer than a socketmap server reads` };
      return toAnswer(await client.ask(request, signal), where);
    }

    return { lookup, close: () => client.close() };
  },
});

/** Only what is not reached or breaks off would have failed for any other key. */
function toAnswer(reply: SocketmapReply, where: string): Answer {
  switch (reply.kind) {
    case "payload":
      return toTableAnswer(decodeReply(reply.bytes), where);
    case "malformed":
      return { kind: "failed", reason: `${where}: the reply is malformed: ${reply.reason}` };
    case "closed":
      return { kind: "failed", reason: `${where}: ${reply.reason}`, scope: "source" };
  }
}

function toTableAnswer(answer: SocketmapAnswer, where: string): Answer {
  switch (answer.kind) {
    case "found":
      return { kind: "found", value: answer.value };
    case "absent":
      return ABSENT;
    case "failed":
      return { kind: "failed", reason: `${where}: ${answer.reason}` };
  }
}

/** On the wire it ends at the first blank. */
function parseMapName(given: string): Parsed<string> {
  return /^[!-~]{1,255}$/.test(given) ? ok(given) : bad("the name of a map is ASCII without blanks");
}
