import { Resolver } from "node:dns/promises";
import { decodeText } from "../../wire/text.ts";
import { normalName } from "./dns-name.ts";

/** How long a question waits for its answer before it is sent again, in ms; then twice as long, and so on. */
const RETRY_MS = 1_000;
/** 15 s in all for one server; the guard gives up earlier unless it was told otherwise. */
const TRIES = 4;

export type Records<Record> =
  | { readonly kind: "records"; readonly records: readonly Record[] }
  /** The name exists, but has nothing of this type. */
  | { readonly kind: "none" }
  | { readonly kind: "no-name" }
  | { readonly kind: "failed"; readonly reason: string; readonly scope?: "source" };

/** The questions of one lookup, which end together. */
export class DnsLookup {
  readonly #resolver = new Resolver({ timeout: RETRY_MS, tries: TRIES });

  /** @param servers addresses, with ports where they are not 53; those of the system if there are none */
  constructor(servers: readonly string[]) {
    if (servers.length > 0) this.#resolver.setServers(servers);
  }

  /** Exchanges in the order in which they are to be tried. The name of a null MX (RFC 7505) is empty. */
  async mx(name: string): Promise<Records<string>> {
    const found = await ask("MX", name, () => this.#resolver.resolveMx(name));
    if (found.kind !== "records") return found;
    const records = found.records.toSorted((a, b) => a.priority - b.priority);
    return { kind: "records", records: records.map(({ exchange }) => normalName(exchange)) };
  }

  addresses(name: string, family: 4 | 6): Promise<Records<string>> {
    return family === 4
      ? ask("A", name, () => this.#resolver.resolve4(name))
      : ask("AAAA", name, () => this.#resolver.resolve6(name));
  }

  /** Each record as one text. */
  async txt(name: string): Promise<Records<string>> {
    const found = await ask("TXT", name, () => this.#resolver.resolveTxt(name));
    if (found.kind !== "records") return found;
    // Node.js gives each byte as one character.
    const records = found.records.map((strings) => decodeText(Buffer.from(strings.join(""), "latin1")));
    return { kind: "records", records };
  }

  /** Ends what still waits. */
  cancel(): void {
    this.#resolver.cancel();
  }
}

/** What the name itself, or who serves it, is to blame for: others are answered. Whoever asks for it chose it. */
const FAULTS_OF_NAME: ReadonlySet<string> = new Set(["ESERVFAIL", "EBADRESP", "EFORMERR", "EBADNAME", "EBADQUERY"]);

async function ask<Record>(
  type: string,
  name: string,
  question: () => Promise<readonly Record[]>,
): Promise<Records<Record>> {
  try {
    const records = await question();
    return records.length === 0 ? { kind: "none" } : { kind: "records", records };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code === "ENOTFOUND") return { kind: "no-name" };
    if (code === "ENODATA") return { kind: "none" };
    if (FAULTS_OF_NAME.has(code)) return { kind: "failed", reason: `DNS, ${type} of ${name}: ${code}` };
    return { kind: "failed", reason: `DNS, ${type}: ${code}`, scope: "source" };
  }
}
