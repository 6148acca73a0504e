import type { InferOutput } from "valibot";
import { backendSchema } from "../backends/options.ts";
import { didYouMean } from "../core/closest-name.ts";
import { list, named, optional, required, section, variant, withDefault } from "../core/option-schema.ts";
import { absolutePath, choice, duration, scalar, text } from "../core/option-values.ts";
import { bad, ok } from "../core/units.ts";
import { directorySchema } from "../directory/options.ts";
import { drainSchema, holdSchema, movesSchema } from "../moves/options.ts";
import { lmtpSchema } from "../relay/options.ts";
import { routingSchema } from "../routing/options.ts";
import { listenerSchema } from "../servers/options.ts";
import type { TableSettings } from "../tables/open-tables.ts";
import { TABLE_TYPES } from "../tables/registry.ts";
import type { LogOptions } from "./config.ts";

/** Answers that stand where a backend's name may stand. */
const ANSWER_WORDS: ReadonlySet<string> = new Set(["hold", "refuse", "reject"]);

export function checkBackendName(name: string): string | undefined {
  if (ANSWER_WORDS.has(name))
    return `a backend cannot be named "${name}": where a backend's name stands, that word is an answer`;
  return checkName(name);
}

function checkName(name: string): string | undefined {
  if (name === "") return "a name cannot be empty";
  return /\p{Cc}/u.test(name) ? "a name cannot have control characters" : undefined;
}

const MAX_WORKERS = 64;

const workerCount = scalar<number | "auto">(`\`auto\` or a number from 1 to ${MAX_WORKERS}`, (given) => {
  if (given === "auto") return ok(given);
  const number = /^\d{1,2}$/.test(given) ? Number(given) : 0;
  return number >= 1 && number <= MAX_WORKERS
    ? ok(number)
    : bad(`expected auto or a number from 1 to ${MAX_WORKERS}, got "${given}"`);
});

const processSchema = section({
  user: optional(text("a user's name or number"), {
    description: "User to become after the listeners are bound, when started as root.",
    example: "mailshunt",
  }),
  group: optional(text("a group's name or number"), {
    description: "Group to become; without it, the user's own.",
    example: "mailshunt",
  }),
  pid_file: optional(absolutePath(), {
    description: "File for the process id, which `serve` writes with `-D` and without. No file without this option.",
    example: "/run/mailshunt/pid",
  }),
  shutdown_timeout: withDefault(duration(), "60s", {
    description: "How long SIGTERM waits for transactions under way. A second SIGTERM ends at once.",
  }),
  workers: withDefault(workerCount, "auto", {
    description:
      "Processes that serve clients, beside one that keeps the configuration, directory and moves. `auto`: one process for " +
      "all on up to two cores, else a worker for each core, up to 8. Takes effect with a restart.",
  }),
});

const logTarget = scalar<LogOptions["to"]>("`stderr`, `syslog` or an absolute path", (given) => {
  if (given === "stderr" || given === "syslog") return ok({ kind: given });
  return given.startsWith("/")
    ? ok({ kind: "file", path: given })
    : bad(`expected stderr, syslog or an absolute path, got "${given}"${didYouMean(given, ["stderr", "syslog"])}`);
});

const logSchema = section({
  to: withDefault(logTarget, "stderr", {
    description: "Where lines go: `stderr`, `syslog` (facility mail) or a file, reopened at SIGHUP.",
  }),
  format: withDefault(choice(["text", "json"]), "text", { description: "`text` is one line as Postfix writes it." }),
  level: withDefault(choice(["error", "warning", "notice", "info", "debug"]), "info", {
    description: "Least severe messages written. Deliveries are `info`.",
  }),
});

export const tableSchema = variant("type", "table type", TABLE_TYPES, (word, given): TableSettings => {
  const type = TABLE_TYPES.get(word);
  if (type === undefined) throw new Error(`no table is of the type ${word}`);
  return { type: word, ...type.toSettings(given) };
});

const emptySection = (): ReadonlyMap<string, unknown> => new Map();
const allDefaults = { defaultText: "" } as const;

/** The own format, version 1: the one source of checks, reference page and sample. */
export const configSchema = section({
  version: required(choice(["1"]), { description: "Version of this format.", example: "1" }),
  process: withDefault(processSchema, emptySection, { description: "The process itself.", ...allDefaults }),
  log: withDefault(logSchema, emptySection, { description: "What is logged, and where.", ...allDefaults }),
  listeners: required(list(listenerSchema, '[{ protocol: lmtp, address: "127.0.0.1:2424" }]'), {
    description: "Sockets on which mail and questions come in.",
  }),
  backends: withDefault(named("backend name", backendSchema, checkBackendName), emptySection, {
    description:
      "Mailbox stores by name; an LMTP listener needs one at least. `hold`, `refuse` and `reject` are no names: they are answers.",
    isInSample: true,
    example: "old",
    secondExample: 'new: { lmtp: "10.0.0.2:24", imap: { address: "10.0.0.2:143" } }',
    ...allDefaults,
  }),
  tables: withDefault(named("table name", tableSchema, checkName), emptySection, {
    description:
      "Sources of answers by name: in which backend a user lives, or whatever Postfix and Dovecot ask a listener for.",
    example: "users",
    isInSample: true,
    ...allDefaults,
  }),
  routing: withDefault(routingSchema, emptySection, {
    description: "How a recipient becomes a backend.",
    ...allDefaults,
  }),
  lmtp: withDefault(lmtpSchema, emptySection, {
    description: "What holds for every LMTP transaction.",
    ...allDefaults,
  }),
  directory: optional(directorySchema, {
    description:
      "Which user lives where, for users who move: its entries come before the tables. Holds and moves need it.",
  }),
  hold: withDefault(holdSchema, emptySection, {
    description: "What holds mean for mail that comes meanwhile.",
    ...allDefaults,
  }),
  drain: withDefault(drainSchema, emptySection, {
    description: "How it is made sure that nothing reaches a held user's old store any more.",
    ...allDefaults,
  }),
  moves: withDefault(movesSchema, emptySection, {
    description: "How mailboxes move from one backend to another.",
    ...allDefaults,
  }),
});

export type ConfigSection = InferOutput<typeof configSchema>;
