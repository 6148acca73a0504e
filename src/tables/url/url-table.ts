import { decodeText, encodeText } from "../../wire/text.ts";
import type { Source, SourceContext } from "../source.ts";
import { ABSENT, DONE, TableFailure } from "../table.ts";
import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";
import { defineType } from "../table-type.ts";
import { HttpClient } from "./url-client.ts";
import { HttpFailure } from "./url-exchange.ts";
import type { HttpReply, RequestBody } from "./url-exchange.ts";
import { compactJson, membersOf } from "./url-json.ts";
import { faultOfUrlSection, NEVER_ABSENT, toUrlOptions, URL_ENTRIES } from "./url-options.ts";
import type { UrlTableOptions } from "./url-options.ts";
import { fillUrlTemplate } from "./url-template.ts";

/** Longest value, in bytes as it is sent: fifty times what Postfix takes for an answer. */
const MAX_VALUE_BYTES = 1024 * 1024;
/** Longest list, in bytes: a million names of sixty characters. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;
/** Entries handed out at once. */
const PAGE_ENTRIES = 1000;
/** Of a URL in a message, in characters: a key may have thousands. */
const MAX_SHOWN = 200;
/** Between two lines about credentials that are not good, in ms. */
const REPEAT_MS = 60_000;

/** The same for every key, so that the source is let alone for a while: nobody is asked who cannot answer. */
const SOURCE_STATUSES: ReadonlySet<number> = new Set([...NEVER_ABSENT, 401, 403, 502, 503, 504]);

/** Of proxies that have lost the service: nobody knows what it does with the request. */
const PROXY_STATUSES: ReadonlySet<number> = new Set([502, 504]);

export const URL_TABLE = defineType({
  description: "An HTTP service: one URL for each key, asked by GET, written by POST and DELETE.",
  kind: "remote",
  entries: URL_ENTRIES,
  faultOf: faultOfUrlSection,
  toOptions: toUrlOptions,
  open: (options, context) => new UrlSource(options, context),
});

class UrlSource implements Source {
  readonly #options: UrlTableOptions;
  readonly #context: SourceContext;
  readonly #client: HttpClient;
  readonly #absent: ReadonlySet<number>;
  /** Absent by their class, but more likely a fault of our credentials. */
  readonly #suspect: ReadonlySet<number>;
  #lastSuspectMs = Number.NEGATIVE_INFINITY;

  constructor(options: UrlTableOptions, context: SourceContext) {
    const { absentStatus, service, caCertificates, headers, maxConnections } = options;
    const hasClass = absentStatus.includes("4xx");
    const clientErrors = Array.from({ length: 100 }, (_, at) => 400 + at).filter((status) => !NEVER_ABSENT.has(status));
    const named = absentStatus.filter((status) => typeof status === "number");
    this.#options = options;
    this.#context = context;
    this.#absent = new Set([...named, ...(hasClass ? clientErrors : [])]);
    this.#suspect = new Set([401, 403].filter((status) => hasClass && !named.includes(status)));
    const keepsRedirect = (status: number): boolean => this.#absent.has(status);
    this.#client = new HttpClient({ service, caCertificates, headers, maxConnections, keepsRedirect });
  }

  async lookup(key: string, signal: AbortSignal): Promise<Answer> {
    const path = fillUrlTemplate(this.#options.service, key);
    if (path === undefined) return { kind: "failed", reason: LEADS_ELSEWHERE };
    try {
      const reply = await this.#client.get(path, MAX_VALUE_BYTES, signal);
      return reply.status === 200 ? this.#toValue(path, reply) : this.#toAnswer(path, reply);
    } catch (error) {
      return this.#toFailed(path, error);
    }
  }

  async write(changes: readonly Change[], signal: AbortSignal): Promise<WriteOutcome> {
    const steps: Step[] = [];
    for (const change of changes) {
      const path = fillUrlTemplate(this.#options.service, change.key);
      if (path === undefined) return { kind: "failed", reason: LEADS_ELSEWHERE };
      if (change.kind === "increment")
        return {
          kind: "failed",
          reason: "an HTTP service cannot increment atomically: two at once would count as one",
        };
      if (change.kind === "set" && this.#options.format === "text" && change.value.endsWith("\n"))
        return { kind: "failed", reason: "the value ends with a line end, which would not come back as text" };
      steps.push({ change, path });
    }
    for (const [index, step] of steps.entries()) {
      const unwritten = await this.#writeOne(step, signal);
      if (unwritten !== undefined) return index === 0 ? unwritten : { ...unwritten, kind: "uncertain" };
    }
    return DONE;
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly TableEntry[]> {
    const path = fillUrlTemplate(this.#options.service, prefix);
    if (path === undefined) throw new TableFailure(LEADS_ELSEWHERE);
    let reply: HttpReply;
    try {
      reply = await this.#client.get(path, MAX_LIST_BYTES, signal);
    } catch (error) {
      throw new TableFailure(this.#describe(path, error));
    }
    if (reply.status !== 200) {
      const answer = this.#toAnswer(path, reply);
      if (answer.kind === "absent") return;
      throw new TableFailure(answer.kind === "failed" ? answer.reason : `${this.#show(path)}: no list`);
    }
    const entries = toEntries(prefix, decodeText(reply.body));
    if (entries === undefined)
      throw new TableFailure(`${this.#show(path)}: expected a JSON list of names, or an object with a value for each`);
    for (let at = 0; at < entries.length; at += PAGE_ENTRIES) yield entries.slice(at, at + PAGE_ENTRIES);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #toValue(path: string, { body }: HttpReply): Answer {
    const text = decodeText(body);
    if (this.#options.format === "text") return { kind: "found", value: text.replace(/\r?\n$/, "") };
    const value = parseJson(text);
    return value === undefined
      ? { kind: "failed", reason: `${this.#show(path)}: the reply is not JSON` }
      : { kind: "found", value: value.text };
  }

  #toAnswer(path: string, { status }: HttpReply): Answer {
    if (this.#absent.has(status)) {
      if (this.#suspect.has(status)) this.#saySuspect(path, status);
      return ABSENT;
    }
    // 500 may be a bug of the service with this one key, which a stranger may have chosen: it must not delay all others.
    if (SOURCE_STATUSES.has(status))
      return { kind: "failed", reason: `${this.#options.service.shown}: status ${status}`, scope: "source" };
    return { kind: "failed", reason: `${this.#show(path)}: status ${status}` };
  }

  #toFailed(path: string, error: unknown): Answer {
    const reason = this.#describe(path, error);
    return isOfRequest(error) ? { kind: "failed", reason } : { kind: "failed", reason, scope: "source" };
  }

  /** @returns why it was not done, or may not have been */
  async #writeOne({ change, path }: Step, signal: AbortSignal): Promise<Unwritten | undefined> {
    try {
      const { status } = await this.#client.change(
        change.kind === "set"
          ? { method: "POST", path, body: toBody(change.value, this.#options.format), maxReplyBytes: MAX_VALUE_BYTES }
          : { method: "DELETE", path, maxReplyBytes: MAX_VALUE_BYTES },
        signal,
      );
      if (status >= 200 && status < 300) return undefined;
      if (change.kind === "unset" && (status === 404 || status === 410)) return undefined;
      return {
        kind: PROXY_STATUSES.has(status) ? "uncertain" : "failed",
        reason: `${this.#show(path)}: status ${status}`,
      };
    } catch (error) {
      const wasUnsent = error instanceof HttpFailure && error.wasUnsent;
      return { kind: wasUnsent ? "failed" : "uncertain", reason: this.#describe(path, error) };
    }
  }

  #saySuspect(path: string, status: number): void {
    const nowMs = this.#context.clock.nowMs();
    if (nowMs - this.#lastSuspectMs < REPEAT_MS) return;
    this.#lastSuspectMs = nowMs;
    const url = this.#show(path);
    this.#context.say(
      "error",
      `${url}: status ${status} is answered as if there were no such key; does the service refuse us as a client?`,
    );
  }

  /** What is wrong with the source is said without the key, so that the log has it once. */
  #describe(path: string, error: unknown): string {
    const reason = error instanceof Error ? error.message : String(error);
    return `${isOfRequest(error) ? this.#show(path) : this.#options.service.shown}: ${reason}`;
  }

  /** Without the query, in which there may be a secret. */
  #show(path: string): string {
    const { origin, socketPath, shown } = this.#options.service;
    const [withoutQuery = ""] = path.split("?");
    const url = (socketPath === undefined ? origin : shown.split("/", 3).join("/")) + withoutQuery;
    return url.length > MAX_SHOWN ? `${url.slice(0, MAX_SHOWN)}…` : url;
  }
}

type Unwritten = Extract<WriteOutcome, { readonly reason: string }>;

interface Step {
  readonly change: Exclude<Change, { readonly kind: "increment" }>;
  readonly path: string;
}

const LEADS_ELSEWHERE = 'the key has "." or ".." between slashes, which would ask for something else';

const isOfRequest = (error: unknown): boolean => error instanceof HttpFailure && error.scope === "request";

/** @returns undefined where it is no JSON; otherwise the parsed value, and as it is answered */
function parseJson(json: string): { readonly value: unknown; readonly text: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  return { value, text: typeof value === "string" ? value : compactJson(json) };
}

function toBody(value: string, format: UrlTableOptions["format"]): RequestBody {
  if (format === "text") return { mediaType: "text/plain; charset=utf-8", bytes: encodeText(value) };
  // Bytes that are no UTF-8 cannot stand in JSON as they are, but as escapes.
  const isJson = value.isWellFormed() && parseJson(value) !== undefined;
  return { mediaType: "application/json", bytes: encodeText(isJson ? value : JSON.stringify(value)) };
}

function toEntries(prefix: string, json: string): readonly TableEntry[] | undefined {
  const list = parseJson(json);
  if (list === undefined || typeof list.value !== "object" || list.value === null) return undefined;
  if (!Array.isArray(list.value))
    return [...membersOf(list.text)].map(([name, text]) => ({
      key: prefix + name,
      value: parseJson(text)?.text ?? text,
    }));
  const names: readonly unknown[] = list.value;
  return names.every((name) => typeof name === "string") ? names.map((name) => ({ key: prefix + name })) : undefined;
}
