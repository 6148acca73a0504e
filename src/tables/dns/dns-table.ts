import { isIP } from "node:net";
import { list, optional, required } from "../../core/option-schema.ts";
import type { SectionEntries, SectionOutput } from "../../core/option-schema.ts";
import { choice, scalar } from "../../core/option-values.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { ABSENT, found } from "../table.ts";
import type { Answer } from "../table.ts";
import { defineType } from "../table-type.ts";
import { DnsLookup } from "./dns-lookup.ts";
import type { Records } from "./dns-lookup.ts";
import { mxMatcher } from "./dns-mx.ts";
import { toDnsName } from "./dns-name.ts";

export interface DnsTableOptions {
  readonly query: "mx" | "txt" | "a";
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** As Node.js takes them; empty for those of the system. */
  readonly servers: readonly string[];
}

const ENTRIES = {
  query: required(choice(["mx", "txt", "a"]), {
    description:
      "`mx`: a domain is found when its mail comes to us, by `names` or `addresses`; the value is the name of that " +
      "exchange. `txt`: the TXT records of a name. `a`: its addresses, A and AAAA.",
    example: "mx",
  }),
  names: optional(list(scalar("a name", parseName), "[mx.example.com]"), {
    description: "For `mx`: names of our own exchanges.",
    example: "[mx.example.com]",
    isInSample: true,
  }),
  addresses: optional(list(scalar("an IP address", parseAddress), "[192.0.2.1, 2001:db8::1]"), {
    description: "For `mx`: addresses that an exchange of the domain must have.",
    example: '[192.0.2.1, "2001:db8::1"]',
  }),
  servers: optional(list(scalar("an IP address, with a port if it is not 53", parseServer), "[127.0.0.1]"), {
    description: "Resolvers to ask, in place of those of the system.",
    example: "[127.0.0.1]",
  }),
} satisfies SectionEntries;

export const DNS = defineType({
  description:
    "The DNS. A key that is no name is absent; what is asked for with addresses needs `key: { try: [domain] }`.",
  kind: "remote",
  entries: ENTRIES,
  faultOf: ({ query, names = [], addresses = [] }: SectionOutput<typeof ENTRIES>) => {
    const hasOwn = names.length + addresses.length > 0;
    if (query === "mx") return hasOwn ? undefined : '"query: mx" needs "names" or "addresses" that are ours';
    return hasOwn ? `"names" and "addresses" are for "query: mx" alone` : undefined;
  },
  toOptions: ({ query, names = [], addresses = [], servers = [] }): DnsTableOptions => ({
    query,
    names,
    addresses,
    servers,
  }),
  open(options) {
    const asks = { mx: mxMatcher(options.names, options.addresses), txt: askTxt, a: askAddresses };
    const ask = asks[options.query];

    async function lookup(key: string, signal: AbortSignal): Promise<Answer> {
      const name = toDnsName(key);
      if (name === undefined) return ABSENT;
      signal.throwIfAborted();
      const dns = new DnsLookup(options.servers);
      const cancel = (): void => dns.cancel();
      signal.addEventListener("abort", cancel, { once: true });
      try {
        return await ask(dns, name);
      } finally {
        signal.removeEventListener("abort", cancel);
        cancel();
      }
    }

    return { lookup };
  },
});

async function askTxt(dns: DnsLookup, name: string): Promise<Answer> {
  return toAnswer([await dns.txt(name)]);
}

async function askAddresses(dns: DnsLookup, name: string): Promise<Answer> {
  return toAnswer(await Promise.all([dns.addresses(name, 4), dns.addresses(name, 6)]));
}

/** A part that failed makes the whole failed: nobody knows what is missing. */
function toAnswer(parts: readonly Records<string>[]): Answer {
  const values: string[] = [];
  for (const part of parts) {
    if (part.kind === "failed") return part;
    if (part.kind === "records") values.push(...part.records);
  }
  return found(values);
}

function parseName(given: string): Parsed<string> {
  const name = toDnsName(given);
  return name === undefined ? bad(`"${given}" is no domain name`) : ok(name);
}

function parseAddress(given: string): Parsed<string> {
  return isIP(given) === 0 || given.includes("%") ? bad(`"${given}" is no IP address`) : ok(given);
}

function parseServer(given: string): Parsed<string> {
  const [, v6, port] = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(given) ?? [];
  const [, v4, portOfV4] = /^([^:[\]]*)(?::(\d{1,5}))?$/.exec(given) ?? [];
  const isPort = Number(port ?? portOfV4 ?? 53) >= 1 && Number(port ?? portOfV4 ?? 53) <= 65_535;
  const isAddress = isIP(given) !== 0 || isIP(v6 ?? "") === 6 || isIP(v4 ?? "") === 4;
  return isAddress && isPort
    ? ok(given)
    : bad(`expected an address such as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353, got "${given}"`);
}
