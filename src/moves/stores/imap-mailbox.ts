import type { FetchMessageObject, FetchQueryObject, ImapFlow, ImapFlowOptions, ListResponse } from "imapflow";
import type { ServiceOptions } from "../../backends/service-options.ts";
import { ActFailed } from "../tools.ts";
import { IDENTIFYING_FIELDS } from "./mailbox-reader.ts";
import type { Folder, MailboxReader, OpenMailbox } from "./mailbox-reader.ts";

export interface ImapOptions {
  /** For each step of a connection, in ms. */
  readonly timeoutMs: number;
  readonly verifiesCertificates: boolean;
}

/** Logs in as the master user on behalf of the user, by SASL PLAIN. The library is loaded when it is first needed. */
export const createOpenMailbox =
  (options: () => ImapOptions): OpenMailbox =>
  async (store, login, signal) => {
    const { ImapFlow } = await import("imapflow");
    const client = new ImapFlow(toFlowOptions(store, login, options()));
    // What goes wrong rejects what was asked for last, too.
    client.on("error", () => undefined);
    const abort = (): void => client.close();
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      await client.connect();
    } catch (error) {
      signal.removeEventListener("abort", abort);
      client.close();
      throw new ActFailed(`IMAP at ${store.address.host}:${store.address.port}: ${describe(error)}`);
    }
    return createReader(client, () => signal.removeEventListener("abort", abort));
  };

function toFlowOptions(store: ServiceOptions, login: string, options: ImapOptions): ImapFlowOptions {
  const { address, tls, master } = store;
  if (master === undefined) throw new ActFailed("the backend's imap has no master_user to log in with");
  const { timeoutMs, verifiesCertificates } = options;
  return {
    host: address.host,
    port: address.port,
    secure: tls === "implicit",
    doSTARTTLS: tls === "starttls",
    tls: { rejectUnauthorized: verifiesCertificates },
    auth: { user: master.user, pass: master.password, authzid: login, loginMethod: "AUTH=PLAIN" },
    logger: false,
    disableAutoIdle: true,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  };
}

function createReader(client: ImapFlow, onClosed: () => void): MailboxReader {
  const fetch = (set: string, what: FetchQueryObject): AsyncIterable<FetchMessageObject> =>
    client.fetch(set, { uid: true, ...what }, { uid: true });

  return {
    async folders() {
      const { personal = [], other, shared } = namespacesOf(client);
      const prefixes = personal.map(({ prefix }) => prefix);
      const foreign = [other, shared]
        .flatMap((spaces) => (Array.isArray(spaces) ? (spaces as readonly Namespace[]) : []))
        .map(({ prefix }) => prefix);
      const listed = await client.list();
      return listed.filter(({ path }) => isOwn(path, prefixes, foreign)).map((folder) => toFolder(folder, prefixes));
    },
    async examine(path) {
      const { exists, uidValidity } = await client.mailboxOpen(path, { readOnly: true });
      return { count: exists, uidValidity: String(uidValidity) };
    },
    async *facts() {
      for await (const { uid, flags, size } of fetch("1:*", { flags: true, size: true }))
        // Without a size it is no answer to us, but news of somebody's change.
        if (flags !== undefined && size !== undefined) yield { uid, flags, sizeBytes: size };
    },
    async *headers(uids) {
      for await (const { uid, headers } of fetch(uids, { headers: [...IDENTIFYING_FIELDS] }))
        if (headers !== undefined) yield { uid, headers };
    },
    async close() {
      onClosed();
      await client.logout().catch(() => client.close());
    },
  };
}

interface Namespace {
  readonly prefix: string;
}

interface Namespaces {
  readonly personal?: readonly Namespace[];
  readonly other?: readonly Namespace[] | false;
  readonly shared?: readonly Namespace[] | false;
}

/** RFC 2342, which the library asks for at each login. Its types do not tell. */
const namespacesOf = (client: ImapFlow): Namespaces =>
  (client as { readonly namespaces?: Namespaces }).namespaces ?? {};

/**
 * Whether a folder is the user's, by the longest prefix that fits. What others share may have none, as in Cyrus without
 * altnamespace: then the user's are those under `INBOX.` alone.
 */
export function isOwn(path: string, personal: readonly string[], foreign: readonly string[]): boolean {
  if (path.toUpperCase() === "INBOX") return true;
  const longest = (prefixes: readonly string[]): number =>
    Math.max(-1, ...prefixes.filter((prefix) => path.startsWith(prefix)).map((prefix) => prefix.length));
  return longest(personal) >= longest(foreign);
}

export function toFolder(
  { path, delimiter, flags, subscribed }: Pick<ListResponse, "path" | "delimiter" | "flags" | "subscribed">,
  prefixes: readonly string[],
): Folder {
  const prefix =
    prefixes.find((prefix) => prefix !== "" && path.startsWith(prefix) && path.length > prefix.length) ?? "";
  const rest = path.slice(prefix.length);
  const [top = "", ...below] = delimiter === "" ? [rest] : rest.split(delimiter);
  const levels = [top.toUpperCase() === "INBOX" ? "INBOX" : top, ...below];
  const words = new Set([...flags].map((flag) => flag.toLowerCase()));
  return {
    path,
    name: levels.map((level) => level.replaceAll("/", "\\/")).join("/"),
    isSelectable: !words.has("\\noselect") && !words.has("\\nonexistent"),
    isSubscribed: subscribed,
  };
}

/** What the server said is not in the message of the library's errors. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = "responseText" in error && typeof error.responseText === "string" ? `: ${error.responseText}` : "";
  return `${error.message}${said}`;
}
