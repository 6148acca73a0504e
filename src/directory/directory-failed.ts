/** Stable: logs and the admin API show it. */
export type DirectoryFaultCode =
  /** Another daemon has it. */
  | "DIRECTORY_LOCKED"
  | "DIRECTORY_MISSING"
  | "DIRECTORY_NO_ACCESS"
  | "DIRECTORY_READ_ONLY"
  | "DIRECTORY_FULL"
  /** It is damaged, or something else. */
  | "DIRECTORY_CORRUPT"
  /** A newer mailshunt wrote it. */
  | "DIRECTORY_NEWER"
  | "DIRECTORY_BUSY"
  | "DIRECTORY_CLOSED"
  /** The write may have happened or not: read before going on. */
  | "DIRECTORY_OUTCOME_UNKNOWN"
  | "DIRECTORY_ERROR";

/** The directory cannot tell, or cannot write. A lookup is answered `failed`, which delays mail; a move waits. */
export class DirectoryFailed extends Error {
  override readonly name = "DirectoryFailed";
  readonly code: DirectoryFaultCode;

  constructor(code: DirectoryFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
