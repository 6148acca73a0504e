import { openType } from "./open-type.ts";
import type { RawOptions } from "./open-type.ts";
import { startDnsServer } from "./dns-server.ts";
import type { DnsAnswer, DnsRecord, DnsServer, DnsType } from "./dns-server.ts";
import type { Answer } from "../../src/tables/table.ts";
import { DNS } from "../../src/tables/dns/dns-table.ts";

export const a = (address: string): DnsRecord => ({ type: "A", address });
export const aaaa = (address: string): DnsRecord => ({ type: "AAAA", address });
export const mx = (priority: number, exchange: string): DnsRecord => ({ type: "MX", priority, exchange });
export const txt = (...strings: readonly string[]): DnsRecord => ({
  type: "TXT",
  strings: strings.map((string) => Buffer.from(string)),
});

/** What each name has of each type; a name that is not there does not exist. */
export type Zone = Readonly<Record<string, Partial<Readonly<Record<DnsType, DnsAnswer>>>>>;

export interface DnsTable {
  readonly server: DnsServer;
  lookup(key: string, signal?: AbortSignal): Promise<Answer>;
}

/** The table without a guard, asking a name server that has this zone. */
export async function openDnsTable(
  t: { after(clean: () => Promise<void>): void },
  options: RawOptions,
  zone: Zone,
): Promise<DnsTable> {
  const server = await startDnsServer(t, ({ name, type }) => {
    const types = zone[name.toLowerCase()];
    return types === undefined ? "NXDOMAIN" : (types[type] ?? []);
  });
  const { source } = openType(DNS, { ...options, servers: [server.address] });
  return { server, lookup: async (key, signal = new AbortController().signal) => source.lookup(key, signal) };
}

/** What the server was asked, in the order of the alphabet. */
export const asked = ({ questions }: DnsServer): string[] =>
  questions.map(({ type, name }) => `${type} ${name}`).sort();
