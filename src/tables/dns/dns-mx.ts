import { BlockList, isIP } from "node:net";
import { ABSENT } from "../table.ts";
import type { Answer } from "../table.ts";
import type { DnsLookup } from "./dns-lookup.ts";

/** Exchanges of one domain whose addresses are asked for: whoever asks for the domain may have made it. */
const MAX_EXCHANGES = 20;

/**
 * Tells whether an exchange of a domain is one of ours.
 * @param names as `normalName` makes them
 */
export function mxMatcher(
  names: readonly string[],
  addresses: readonly string[],
): (dns: DnsLookup, domain: string) => Promise<Answer> {
  const ownNames = new Set(names);
  const own = new BlockList();
  for (const address of addresses) own.addAddress(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  const families = ([4, 6] as const).filter((family) => addresses.some((address) => isIP(address) === family));

  async function find(dns: DnsLookup, domain: string): Promise<Answer> {
    const mx = await dns.mx(domain);
    switch (mx.kind) {
      case "failed":
        return mx;
      case "no-name":
        return ABSENT;
      case "none":
        // The implicit MX: RFC 5321, section 5.1.
        return findAmong(dns, [domain]);
      case "records":
        return findAmong(
          dns,
          mx.records.filter((exchange) => exchange !== ""),
        );
    }
  }

  async function findAmong(dns: DnsLookup, exchanges: readonly string[]): Promise<Answer> {
    const named = exchanges.find((exchange) => ownNames.has(exchange));
    if (named !== undefined) return { kind: "found", value: named };
    if (families.length === 0) return ABSENT;
    const answer = await firstFound(
      exchanges
        .slice(0, MAX_EXCHANGES)
        .flatMap((exchange) => families.map((family) => findByAddress(dns, exchange, family))),
    );
    return answer.kind === "absent" && exchanges.length > MAX_EXCHANGES
      ? { kind: "failed", reason: `none of its first ${MAX_EXCHANGES} exchanges is ours, and there are more` }
      : answer;
  }

  async function findByAddress(dns: DnsLookup, exchange: string, family: 4 | 6): Promise<Answer> {
    const target = await dns.addresses(exchange, family);
    switch (target.kind) {
      case "failed":
        return target;
      case "no-name":
      case "none":
        return ABSENT;
      case "records": {
        const isOwn = target.records.some((address) => own.check(address, family === 6 ? "ipv6" : "ipv4"));
        return isOwn ? { kind: "found", value: exchange } : ABSENT;
      }
    }
  }

  return find;
}

/** Waits for nobody who hangs once another one has it; where none has it, one that failed may have had it. */
function firstFound(asked: readonly Promise<Answer>[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let left = asked.length;
    let failed: Answer | undefined;
    if (left === 0) resolve(ABSENT);
    for (const one of asked)
      one.then((answer) => {
        left -= 1;
        if (answer.kind === "failed") failed ??= answer;
        if (answer.kind === "found") resolve(answer);
        else if (left === 0) resolve(failed ?? ABSENT);
      }, reject);
  });
}
