import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";

/** A listener could not be opened; the message says which and what an administrator can do. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";
  readonly code = "CANNOT_LISTEN";

  constructor(address: Endpoint, reason: string, cause?: unknown) {
    super(`cannot listen on ${formatEndpoint(address)}: ${reason}`, { cause });
  }
}

/** The system's code of an error, such as `EACCES`; empty for errors that have none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
