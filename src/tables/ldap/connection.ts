import { isIP } from "node:net";
import type { Client, ClientOptions, Entry, Filter } from "ldapts";
import type { Clock } from "../../core/clock.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import { dial } from "../../net/dialer.ts";
import type { PooledConnection } from "../connection-pool.ts";
import { errorText } from "../error-text.ts";

export interface LdapServer {
  readonly endpoint: Endpoint;
  /** `always` is ldaps, `upgrade` is StartTLS. */
  readonly tls: "never" | "always" | "upgrade";
  /** PEM certificates; undefined for those that the system trusts. */
  readonly ca: string | undefined;
  /** Undefined for anonymous. */
  readonly bind: { readonly dn: string; readonly password: string } | undefined;
}

export interface LdapSearch {
  readonly base: string;
  readonly scope: "sub" | "one" | "base";
  readonly filter: Filter;
  readonly attributes: readonly string[];
}

export interface LdapFound {
  readonly entries: readonly Entry[];
  /** URLs of servers that may have more. */
  readonly references: readonly string[];
}

/** The server answered with something else than success. */
export class LdapRefused extends Error {
  override readonly name = "LdapRefused";
  readonly code = "LDAP_REFUSED";
  readonly resultCode: number;
  /** It would answer any other search like that as well. */
  readonly isServerDown: boolean;

  constructor(resultCode: number, text: string, isServerDown: boolean) {
    super(text);
    this.resultCode = resultCode;
    this.isServerDown = isServerDown;
  }
}

/** Bytes of one answer at most: the library collects it whole, and knows no limit of its own that it would report. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const CHECK_ANSWER_MS = 100;

/** How long the server may search, in s. */
const TIME_LIMIT_SECONDS = 60;

/** Names of result codes. Source: RFC 4511, 4.1.9. */
const RESULT_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "operationsError"],
  [2, "protocolError"],
  [3, "timeLimitExceeded"],
  [4, "sizeLimitExceeded"],
  [8, "strongerAuthRequired"],
  [10, "referral"],
  [11, "adminLimitExceeded"],
  [13, "confidentialityRequired"],
  [32, "noSuchObject"],
  [34, "invalidDNSyntax"],
  [48, "inappropriateAuthentication"],
  [49, "invalidCredentials"],
  [50, "insufficientAccessRights"],
  [51, "busy"],
  [52, "unavailable"],
  [53, "unwillingToPerform"],
]);

/** As servers answer who is not bound any more: operationsError (Active Directory), strongerAuthRequired, invalidCredentials. */
const UNBOUND: ReadonlySet<number> = new Set([1, 8, 49]);

/** Not bound, or confidentialityRequired, busy, unavailable. */
const SERVER_DOWN: ReadonlySet<number> = new Set([...UNBOUND, 13, 51, 52]);

export async function connectLdap(server: LdapServer, clock: Clock, signal: AbortSignal): Promise<LdapConnection> {
  const { Client } = await import("ldapts");
  const connection = new LdapConnection(server, clock, (options) => new Client(options));
  const abort = (): void => connection.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await connection.bind();
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * One socket, bound once. The library would connect anew by itself, without TLS and as nobody: to whom the server may
 * answer that there is no such entry. So it is never asked when the socket is not open.
 */
export class LdapConnection implements PooledConnection {
  readonly #server: LdapServer;
  readonly #clock: Clock;
  readonly #client: Client;
  readonly #socket: ReturnType<typeof dial>;
  #isUsable = true;
  #isTooLong = false;

  constructor(server: LdapServer, clock: Clock, createClient: (options: ClientOptions) => Client) {
    this.#server = server;
    this.#clock = clock;
    this.#socket = dial(server.endpoint);
    this.#socket.on("error", () => (this.#isUsable = false));
    this.#socket.on("close", () => (this.#isUsable = false));
    this.#client = createClient(
      server.tls === "always"
        ? { url: "ldaps://socket", tlsOptions: { ...this.#tlsOptions(), socket: this.#socket } }
        : { url: "ldap://socket", createConnection: () => this.#socket },
    );
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  async bind(): Promise<void> {
    const { tls, bind } = this.#server;
    if (tls === "upgrade") {
      await this.#ask(() => this.#client.startTLS(this.#tlsOptions()), true);
      if (!this.#isUsable) throw new Error("the connection is lost");
    }
    await this.#ask(() => this.#client.bind(bind?.dn ?? "", bind?.password ?? ""), true);
  }

  async search({ base, scope, filter, attributes }: LdapSearch): Promise<LdapFound> {
    const stopChecking = this.#checkSize();
    try {
      const found = await this.#ask(() =>
        this.#client.search(base, {
          scope,
          filter,
          attributes: [...attributes],
          // As bytes: the library drops a byte-order mark otherwise.
          explicitBufferAttributes: [...attributes],
          timeLimit: TIME_LIMIT_SECONDS,
        }),
      );
      return { entries: found.searchEntries, references: found.searchReferences };
    } finally {
      stopChecking();
    }
  }

  close(): void {
    this.#isUsable = false;
    this.#client.unbind().catch(() => undefined);
  }

  destroy(): void {
    this.#isUsable = false;
    this.#socket.destroy();
  }

  #tlsOptions(): { readonly host: string; readonly servername?: string; readonly ca?: string } {
    const { endpoint, ca } = this.#server;
    const host = endpoint.kind === "tcp" ? endpoint.host : "localhost";
    return { host, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) };
  }

  /** Everything but an answer of the server ends the connection, and so does one that says that we are nobody. */
  async #ask<Result>(act: () => Promise<Result>, isConnecting = false): Promise<Result> {
    if (!this.#isUsable) throw new Error("the connection is lost");
    try {
      return await act();
    } catch (error) {
      const refused = toRefused(error, isConnecting);
      if (refused === undefined || UNBOUND.has(refused.resultCode)) this.destroy();
      throw refused ?? (this.#isTooLong ? new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`) : error);
    }
  }

  #checkSize(): () => void {
    const limit = this.#socket.bytesRead + MAX_ANSWER_BYTES;
    const check = (): void => {
      this.#isTooLong = this.#socket.bytesRead > limit;
      if (this.#isTooLong) this.destroy();
      timer = this.#clock.after(CHECK_ANSWER_MS, check);
    };
    let timer = this.#clock.after(CHECK_ANSWER_MS, check);
    return () => timer.cancel();
  }
}

function toRefused(error: unknown, isConnecting: boolean): LdapRefused | undefined {
  if (!(error instanceof Error && "code" in error && typeof error.code === "number")) return undefined;
  const name = RESULT_NAMES.get(error.code) ?? `result ${error.code}`;
  const said = errorText(error).replace(/\s*Code: 0x[0-9a-f]+$/, "");
  const isServerDown = isConnecting || SERVER_DOWN.has(error.code);
  return new LdapRefused(error.code, said === "" ? name : `${name}: ${said}`, isServerDown);
}
