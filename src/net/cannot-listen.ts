import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";

/** A listener could not be opened; the message says which and what an administrator can do. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";
  readonly code = "CANNOT_LISTEN";

  readonly reason: string;

  constructor(address: Endpoint, reason: string, cause?: unknown) {
    super(`cannot listen on ${formatEndpoint(address)}: ${reason}`, { cause });
    this.reason = reason;
  }
}

/** A socket that is served could not be given other rights; the message says why. */
export class AccessUnchanged extends Error {
  override readonly name = "AccessUnchanged";
  readonly code = "ACCESS_UNCHANGED";

  constructor(address: Endpoint, reason: string, cause?: unknown) {
    super(`${formatEndpoint(address)}: owner, group and permissions stay as they are${reason}`, { cause });
  }
}

/** The system's code of an error, such as `EACCES`; empty for errors that have none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
