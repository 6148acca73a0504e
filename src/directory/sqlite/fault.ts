import { DirectoryFailed } from "../directory-failed.ts";
import type { DirectoryFaultCode } from "../directory-failed.ts";

/** Primary result codes: https://www.sqlite.org/rescode.html. */
const SQLITE = {
  perm: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  protocol: 15,
  notADatabase: 26,
} as const;

/** What SQLite refused, in words that name the remedy. Anything that is not of SQLite is a bug and comes back as it is. */
export function toDirectoryFailed(path: string, cause: unknown): unknown {
  if (cause instanceof DirectoryFailed || !(cause instanceof Error) || !("code" in cause)) return cause;
  if (cause.code === "ERR_INVALID_STATE") return closedFault(path);
  if (cause.code !== "ERR_SQLITE_ERROR") return cause;
  const [code, reason] = describe("errcode" in cause ? Number(cause.errcode) & 0xff : 0);
  return new DirectoryFailed(code, `the directory ${path} ${reason} (SQLite: ${cause.message})`, { cause });
}

export const closedFault = (path: string): DirectoryFailed =>
  new DirectoryFailed("DIRECTORY_CLOSED", `the directory ${path} is closed`);

function describe(resultCode: number): readonly [DirectoryFaultCode, string] {
  switch (resultCode) {
    case SQLITE.perm:
    case SQLITE.cannotOpen:
      return [
        "DIRECTORY_NO_ACCESS",
        "cannot be opened: see that the user of mailshunt may read and write it, and its folder",
      ];
    case SQLITE.busy:
    case SQLITE.locked:
    case SQLITE.protocol:
      return ["DIRECTORY_BUSY", "is locked by another program: see who has it open"];
    case SQLITE.readOnly:
      return [
        "DIRECTORY_READ_ONLY",
        "cannot be written: see its permissions, and whether its file system is read-only",
      ];
    case SQLITE.ioError:
      return ["DIRECTORY_ERROR", "cannot be read or written: see the system's log for faults of the disk"];
    case SQLITE.corrupt:
      return ["DIRECTORY_CORRUPT", "is damaged: stop mailshunt and restore it from a backup"];
    case SQLITE.full:
      return ["DIRECTORY_FULL", "cannot grow, the disk is full: make room"];
    case SQLITE.notADatabase:
      return ["DIRECTORY_CORRUPT", "is no SQLite database: name another file, or restore it from a backup"];
    default:
      return ["DIRECTORY_ERROR", "failed"];
  }
}

/** Fails as DirectoryFailed where SQLite does. */
export function guarded<Value>(path: string, run: () => Value): Value {
  try {
    return run();
  } catch (error) {
    throw toDirectoryFailed(path, error);
  }
}
