/** What `open` or `read` refused, in words that name the remedy. */
export function describeReadError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "no permission to read it";
    case "EISDIR":
      return "it is a directory, not a file";
    case "ENXIO":
      return "it is a socket or a device, not a file";
    case "ENOTDIR":
      return "a part of its path is not a directory";
    case "ERR_FS_FILE_TOO_LARGE":
    case "ERR_STRING_TOO_LONG":
      return "it is too large";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
