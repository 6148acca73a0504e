import { userInfo } from "node:os";
import { getSystemErrorMessage } from "node:util";

/** The log file cannot be opened; the message says why, and what an administrator can do. */
export class CannotOpenLog extends Error {
  override readonly name = "CannotOpenLog";
  readonly code = "CANNOT_OPEN_LOG";

  constructor(path: string, cause: unknown) {
    super(`${path} cannot be opened: ${reasonFor(cause)}`, { cause });
  }
}

/** We do not want it, though the system would let us. */
export class LogRefused extends Error {
  override readonly name = "LogRefused";
}

function reasonFor(error: unknown): string {
  if (error instanceof LogRefused)
    return `${error.message}, which root does not follow for a log that it gives to process.user: name the file itself`;
  if (!(error instanceof Error && "errno" in error && typeof error.errno === "number")) return String(error);
  const reason = getSystemErrorMessage(error.errno);
  const isDenied = "code" in error && error.code === "EACCES";
  return isDenied ? `${reason} for ${currentUser()}; create it for that user before the reload` : reason;
}

/** Whom we run as by now, as the system names them. */
export function currentUser(): string {
  try {
    return `user ${userInfo().username}`;
  } catch {
    return `user id ${process.geteuid?.()}`; // it has no account
  }
}
