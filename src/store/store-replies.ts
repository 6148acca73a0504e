import { reply, type Reply } from "../protocols/lmtp/reply.ts";

export const SAVED = (address: string, name: string): Reply => reply(250, "2.0.0", `<${address}> ${name} Saved`);
export const RECIPIENT_OK = reply(250, "2.1.5", "OK");
export const GO_AHEAD = reply(354, undefined, "End data with <CR><LF>.<CR><LF>");
export const NO_RECIPIENTS = reply(503, "5.5.1", "No valid recipients");
export const TOO_MANY = reply(452, "4.5.3", "Too many recipients");

export const badName = (address: string): Reply => reply(550, "5.1.3", `<${address}> No mailbox can have this name`);

export const unknownUser = (address: string, code: "550" | "451"): Reply =>
  code === "550"
    ? reply(550, "5.1.1", `<${address}> User unknown`)
    : reply(451, "4.1.1", `<${address}> User unknown, may be made later`);

export const overQuota = (address: string, code: "552" | "452"): Reply =>
  code === "552"
    ? reply(552, "5.2.2", `<${address}> Mailbox is full`)
    : reply(452, "4.2.2", `<${address}> Mailbox is full`);

/** What a failure of the file system means to the sender: always that it may try again. */
export function failed(address: string, error: unknown): Reply {
  const code = systemCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return reply(452, "4.3.1", `<${address}> No room for the message`);
  return reply(451, "4.3.0", `<${address}> Message could not be stored${code === "" ? "" : ` (${code})`}`);
}

function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
