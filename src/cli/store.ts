import { hostname } from "node:os";
import { resolve } from "node:path";
import { systemClock } from "../core/clock.ts";
import { formatEndpoint, parseEndpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import type { Log } from "../core/log.ts";
import { parsePermissions } from "../core/option-values.ts";
import { parseSize, type Parsed } from "../core/units.ts";
import { createRenderer } from "../observe/render.ts";
import { startStoreServer, type StoreServerOptions } from "../servers/store-server.ts";
import { CommandFault, type TextOutput } from "./command-io.ts";

/** The command line of `mailshunt store`, as text. What is undefined has its default. */
export interface StoreCommandOptions {
  /** Holds the Maildirs: `DIR/<user>/Maildir`. */
  readonly directory: string;
  /** `unix:/path`, `host:port` or `[v6]:port`. */
  readonly listen: string;
  /** Mode of a unix socket, in octal. */
  readonly permissions?: string | undefined;
  /** `any`, or a file with one user a line. Default: any. */
  readonly users?: string | undefined;
  /** `550`, `451` or `accept`: what a user gets who is not in the file. Default: 550. */
  readonly unknown?: string | undefined;
  /** Of each mailbox, such as `50MB`. Default: none. */
  readonly quota?: string | undefined;
  /** `552` or `452`: what a full mailbox is answered. Default: 552. */
  readonly overQuota?: string | undefined;
  /** `localpart` or `address`. Default: localpart. */
  readonly key?: string | undefined;
  /** Default: `+`. */
  readonly recipientDelimiter?: string | undefined;
  /** Largest message, such as `50MB`. Default: none. */
  readonly maxMessageSize?: string | undefined;
}

export interface StoreIo {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
}

/** How long a message under way may take after SIGTERM, in ms. */
const SHUTDOWN_TIMEOUT_MS = 30_000;
const MAX_RECIPIENTS = 10_000;
const MAX_LINE_BYTES = 65_536;
const MAX_CONNECTIONS = 1000;
/** RFC 5321 4.5.3.2.7: a server waits at least five minutes for its client. */
const IDLE_TIMEOUT_MS = 300_000;

/**
 * `mailshunt store`: serves until SIGTERM or SIGINT, one log line per delivery on stdout.
 * The first signal lets messages under way finish, the second cuts them off.
 * @returns 0 after a signal, 64 for a wrong command line, 71 where the system refuses the directory or the address
 */
export async function runStore(options: StoreCommandOptions, io: StoreIo): Promise<number> {
  try {
    return await serveStore(toServerOptions(options), io);
  } catch (error) {
    // Without a code it is no refusal of the system but a bug.
    if (!(error instanceof CommandFault) && !(error instanceof Error && "code" in error)) throw error;
    io.stderr.write(`mailshunt store: ${error.message}\n`);
    return error instanceof CommandFault ? error.exitCode : EXIT.osError;
  }
}

async function serveStore(options: StoreServerOptions, { stdout }: StoreIo): Promise<number> {
  const render = createRenderer({
    format: "text",
    audience: "plain",
    program: "mailshunt",
    host: hostname().split(".", 1)[0] ?? "",
    pid: process.pid,
  });
  const log: Log = { write: (entry) => void stdout.write(render(entry, systemClock.wallMs())) };
  const say = (text: string): void => log.write({ kind: "message", level: "notice", part: "store", text });
  const signals = watchSignals();
  try {
    const server = await startStoreServer(options, systemClock, log);
    say(`ready: Maildirs below ${options.store.directory}, listening on ${formatEndpoint(server.address)}`);
    say(`${await signals.first}: stopping`);
    const ended = server.shutdown(SHUTDOWN_TIMEOUT_MS);
    void signals.second.then(() => server.destroy());
    await ended;
    say("stopped");
    return EXIT.ok;
  } finally {
    signals.forget();
  }
}

function watchSignals(): { first: Promise<string>; second: Promise<string>; forget: () => void } {
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<string>();
  let count = 0;
  const onSignal = (signal: string): void => {
    count += 1;
    if (count === 1) first.resolve(signal);
    else second.resolve(signal);
  };
  const names = ["SIGTERM", "SIGINT"] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    first: first.promise,
    second: second.promise,
    forget: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

/** @throws CommandFault for what is not written as it should be */
export function toServerOptions(options: StoreCommandOptions): StoreServerOptions {
  const parsed = parseEndpoint(options.listen);
  if (parsed.kind === "bad") throw new CommandFault(EXIT.usage, `--listen: ${parsed.reason}`);
  const users = options.users ?? "any";
  return {
    store: {
      directory: resolve(options.directory),
      key: choose("--key", options.key ?? "localpart", ["localpart", "address"]),
      recipientDelimiter: options.recipientDelimiter ?? "+",
      users: users === "any" ? { kind: "any" } : { kind: "file", path: resolve(users) },
      unknown: choose("--unknown", options.unknown ?? "550", ["550", "451", "accept"]),
      quotaBytes: optional("--quota", options.quota, parseSize),
      overQuota: choose("--over-quota", options.overQuota ?? "552", ["552", "452"]),
      maxRecipients: MAX_RECIPIENTS,
      maxMessageBytes: optional("--max-message-size", options.maxMessageSize, parseSize),
      hostname: hostname(),
    },
    listener: {
      protocol: "lmtp",
      address: parsed.endpoint,
      owner: undefined,
      group: undefined,
      permissions: optional("--permissions", options.permissions, parsePermissions),
      trustedNetworks: ["127.0.0.0/8", "::1/128"],
      maxConnections: MAX_CONNECTIONS,
      maxConnectionsPerAddress: MAX_CONNECTIONS,
    },
    maxLineBytes: MAX_LINE_BYTES,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
  };
}

function optional<Value>(
  option: string,
  text: string | undefined,
  parse: (text: string) => Parsed<Value>,
): Value | undefined {
  if (text === undefined) return undefined;
  const parsed = parse(text);
  if (parsed.kind === "bad") throw new CommandFault(EXIT.usage, `${option}: ${parsed.reason}`);
  return parsed.value;
}

function choose<const Word extends string>(option: string, given: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === given);
  if (word === undefined)
    throw new CommandFault(EXIT.usage, `${option}: expected ${words.join(", ")}, got ${JSON.stringify(given)}`);
  return word;
}
