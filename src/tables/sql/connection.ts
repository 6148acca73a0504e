import type { Endpoint } from "../../core/endpoint.ts";
import type { PooledConnection } from "../connection-pool.ts";
import type { Statement } from "./query.ts";
import type { SqlParameter, SqlRow } from "./values.ts";

export interface SqlServer {
  readonly driver: "postgres" | "mysql";
  readonly address: Endpoint;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly tls: SqlTls | undefined;
}

export interface SqlTls {
  /** PEM certificates; undefined for those that the system trusts. */
  readonly ca: string | undefined;
}

/**
 * What the drivers have in common. Everything rejects with StatementRefused where the server answered and would not
 * do it, and with anything else where the connection failed, which is not usable then.
 */
export interface SqlConnection extends PooledConnection {
  /** @param maxRows with more, it is broken off */
  select(statement: Statement, parameters: readonly SqlParameter[], maxRows: number): Promise<readonly SqlRow[]>;
  /** @returns rows written, or undefined where the server does not say */
  execute(statement: Statement, parameters: readonly SqlParameter[]): Promise<number | undefined>;
  begin(): Promise<void>;
  /** Resolves when it is written; StatementRefused when nothing was. */
  commit(): Promise<void>;
  /** @returns whether everything was taken back */
  rollback(): Promise<boolean>;
}

/** The server answered, and would not do it. */
export class StatementRefused extends Error {
  override readonly name = "StatementRefused";
  readonly code = "STATEMENT_REFUSED";
  /** It would refuse any other statement as well. */
  readonly isServerDown: boolean;
  /** The key holds bytes that no text of this database can hold, so that no entry has it. */
  readonly isImpossibleText: boolean;

  constructor(text: string, kind: { readonly isServerDown?: boolean; readonly isImpossibleText?: boolean } = {}) {
    super(text);
    this.isServerDown = kind.isServerDown ?? false;
    this.isImpossibleText = kind.isImpossibleText ?? false;
  }
}

export const tooManyRows = (maxRows: number): StatementRefused =>
  new StatementRefused(`the query gives more than ${maxRows} rows`);

/** For connecting, in ms. A lookup has a deadline of its own; this one ends what nobody waits for any more. */
export const CONNECT_TIMEOUT_MS = 10_000;
