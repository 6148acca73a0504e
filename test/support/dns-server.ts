import { createSocket } from "node:dgram";
import type { Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";

/** Source: RFC 1035, section 3.2.2; AAAA: RFC 3596. */
const TYPES = { A: 1, CNAME: 5, MX: 15, TXT: 16, AAAA: 28 } as const;
/** Source: RFC 1035, section 4.1.1. */
const RCODES = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
/** Longest answer over UDP. Source: RFC 1035, section 2.3.4. */
const MAX_UDP_BYTES = 512;

export type DnsType = keyof typeof TYPES;

export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly address: string }
  | { readonly type: "MX"; readonly priority: number; readonly exchange: string }
  | { readonly type: "TXT"; readonly strings: readonly Buffer[] }
  /** What follows belongs to `target`. */
  | { readonly type: "CNAME"; readonly target: string };

/** Bytes are sent as they are, behind the question's id. */
export type DnsAnswer = readonly DnsRecord[] | keyof typeof RCODES | "silence" | Buffer;

export interface DnsQuestion {
  readonly name: string;
  readonly type: DnsType;
  readonly transport: "udp" | "tcp";
}

export interface DnsServer {
  /** For a resolver: address and port. */
  readonly address: string;
  readonly questions: readonly DnsQuestion[];
  stop(): Promise<void>;
  /** Listens again where it did. */
  start(): Promise<void>;
}

/** A name server that says of each question what it is told to, over UDP and TCP. */
export async function startDnsServer(
  t: { after(clean: () => Promise<void>): void },
  answer: (question: DnsQuestion) => DnsAnswer,
): Promise<DnsServer> {
  const questions: DnsQuestion[] = [];
  const sockets = new Set<Socket>();
  let port = 0;
  let udp: UdpSocket | undefined;
  let tcp: Server | undefined;

  function respond(query: Buffer, transport: "udp" | "tcp"): Buffer | undefined {
    const { name, type, end } = readQuestion(query);
    const known = (Object.keys(TYPES) as DnsType[]).find((known) => TYPES[known] === type);
    if (known === undefined) return header(query, end, RCODES.NOTIMP, 0, false);
    const question: DnsQuestion = { name, type: known, transport };
    questions.push(question);
    const said = answer(question);
    if (said === "silence") return undefined;
    if (Buffer.isBuffer(said)) return Buffer.concat([query.subarray(0, 2), said]);
    if (typeof said === "string") return header(query, end, RCODES[said], 0, false);
    const message = Buffer.concat([header(query, end, 0, said.length, false), ...encodeRecords(name, said)]);
    return transport === "udp" && message.length > MAX_UDP_BYTES ? header(query, end, 0, 0, true) : message;
  }

  async function start(): Promise<void> {
    const stream = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
      let pending = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
          const length = pending.readUInt16BE(0);
          const response = respond(pending.subarray(2, 2 + length), "tcp");
          if (response !== undefined) socket.write(Buffer.concat([uint16(response.length), response]));
          pending = pending.subarray(2 + length);
        }
      });
    });
    tcp = stream;
    stream.listen(port, "127.0.0.1");
    await once(stream, "listening");
    const bound = stream.address();
    port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const datagrams = createSocket("udp4");
    udp = datagrams;
    datagrams.on("message", (query, { address, port: from }) => {
      const response = respond(query, "udp");
      if (response !== undefined) datagrams.send(response, from, address);
    });
    datagrams.bind(port, "127.0.0.1");
    await once(datagrams, "listening");
  }

  async function stop(): Promise<void> {
    const [datagrams, stream] = [udp, tcp];
    if (datagrams === undefined || stream === undefined) return;
    udp = undefined;
    tcp = undefined;
    datagrams.close();
    stream.close();
    for (const socket of sockets) socket.destroy();
    await once(stream, "close");
  }

  await start();
  t.after(stop);
  return { address: `127.0.0.1:${port}`, questions, stop, start };
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** Header and question of a response that is recursive, as those of resolvers are. */
function header(query: Buffer, questionEnd: number, rcode: number, answers: number, isTruncated: boolean): Buffer {
  const flags = 0x8180 | (isTruncated ? 0x0200 : 0) | rcode;
  return Buffer.concat([
    query.subarray(0, 2),
    ...[flags, 1, answers, 0, 0].map(uint16),
    query.subarray(12, questionEnd),
  ]);
}

function encodeRecords(name: string, records: readonly DnsRecord[]): Buffer[] {
  const encoded: Buffer[] = [];
  let owner = name;
  for (const record of records) {
    const value = encodeValue(record);
    const ttl = Buffer.alloc(4);
    encoded.push(encodeName(owner), uint16(TYPES[record.type]), uint16(1), ttl, uint16(value.length), value);
    if (record.type === "CNAME") owner = record.target;
  }
  return encoded;
}

function encodeValue(record: DnsRecord): Buffer {
  switch (record.type) {
    case "A":
      return Buffer.from(record.address.split(".").map(Number));
    case "AAAA":
      return encodeV6(record.address);
    case "MX":
      return Buffer.concat([uint16(record.priority), encodeName(record.exchange)]);
    case "TXT":
      return Buffer.concat(record.strings.flatMap((string) => [Buffer.from([string.length]), string]));
    case "CNAME":
      return encodeName(record.target);
  }
}

/** @param name empty for the root */
function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const encoded = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  return Buffer.concat([...encoded, Buffer.from([0])]);
}

function encodeV6(address: string): Buffer {
  const [left = "", right] = address.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(left), groups(right ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.concat([...before, ...zeros, ...after].map(uint16));
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
