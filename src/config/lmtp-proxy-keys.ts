/** The keys of the `lmtp-proxy` format, with what the reference page says of each. */
export type KeyTexts = ReadonlyMap<string, string>;

export const DEFAULT_PID_FILE = "/var/run/lmtp-proxy.pid";

export const ROOT_KEYS: KeyTexts = new Map([
  ["config", "The daemon itself."],
  ["backends", "Mailbox stores by name."],
  ["users", "Each user with a backend's name or `reject`, which answers 450 4.2.1: the client tries again."],
]);

export const CONFIG_KEYS: KeyTexts = new Map([
  ["socket", "Where to listen: the absolute path of a unix socket, or a list of host and port, `[127.0.0.1, 10025]`."],
  ["owner", "Owner of the unix socket, by name or number."],
  ["group", "Group of the unix socket, by name or number."],
  ["permissions", "Mode of the unix socket, in octal: `0660`, `660` and `0o660` are the same, quoted or not."],
  ["ignoreDomain", "`True`: users are looked up as `user` instead of `user@example.com`. Default `False`."],
  [
    "fallback_backend",
    "Backend of the users that `users` does not have, or `reject`. Without it they are answered 451 4.1.1.",
  ],
  ["pid", `File for the process id, written with \`-D\` only. Default \`${DEFAULT_PID_FILE}\`.`],
  ["localPartSuffix", 'Characters that begin an extension (`user+lists`), which `users` does not know. Default `"+"`.'],
]);

export const BACKEND_KEYS: KeyTexts = new Map([
  ["socket", "Absolute path of the store's unix socket."],
  ["host", "Host of the store, where it has no `socket`."],
  ["port", "Port of the store, with `host`."],
  ["user", "User for AUTH."],
  ["password", "Password for AUTH."],
]);
