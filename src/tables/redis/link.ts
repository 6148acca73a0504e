import type * as RedisModule from "@redis/client";
import type { Clock } from "../../core/clock.ts";
import type { Endpoint } from "../../core/endpoint.ts";

export interface RedisServer {
  readonly address: Endpoint;
  readonly tls: { readonly ca: string | undefined } | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

export type RedisArgument = string | Buffer;

/** Strings are bytes, a missing one is null. */
export type RedisReply = Buffer | string | number | null | readonly RedisReply[] | Error;

/** The server answered with an error. */
export class RedisRefused extends Error {
  override readonly name = "RedisRefused";
  readonly code = "REDIS_REFUSED";
  /** It would answer anything else like that as well. */
  readonly isServerDown: boolean;

  constructor(text: string) {
    super(text);
    this.isServerDown = SERVER_DOWN.has(/^[A-Z]+/.exec(text)?.[0] ?? "");
  }
}

/** First words of errors. Source: server.c and cluster.c of Redis 7. */
const SERVER_DOWN: ReadonlySet<string> = new Set([
  "BUSY",
  "CLUSTERDOWN",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "NOAUTH",
  "NOREPLICAS",
  "READONLY",
]);

/** For TCP and TLS, in ms. What waits for it has a deadline of its own. */
const CONNECT_TIMEOUT_MS = 10_000;

/** When somebody gave up and the server has been silent for this long, the connection is taken for dead, in ms. */
const SILENT_MS = 500;

/** Also asked for arguments that are bytes: the library's type knows but the one. */
type Client = Pick<ReturnType<typeof RedisModule.createClient>, "connect" | "destroy" | "on"> & {
  sendCommand(args: readonly RedisArgument[], options: object): Promise<unknown>;
};

/**
 * One connection, for all that is under way at once: commands go out in order, and answers come in order.
 * It does not come back when it breaks; whoever needs one makes another.
 */
export class RedisLink {
  /** Resolves when it can be used. */
  readonly ready: Promise<void>;
  readonly #clock: Clock;
  #client: Client | undefined;
  #isReady = false;
  #isOver = false;
  #heardMs: number;
  #commandOptions = {};
  #isRefusal: (error: unknown) => error is Error = (error): error is Error => error instanceof RedisRefused;

  constructor(server: RedisServer, clock: Clock) {
    this.#clock = clock;
    this.#heardMs = clock.nowMs();
    this.ready = this.#connect(server);
  }

  /** Not broken, as far as is known. */
  get isUsable(): boolean {
    return !this.#isOver;
  }

  get isReady(): boolean {
    return this.#isReady && !this.#isOver;
  }

  /**
   * Only once it is ready. What several calls of one turn send stands together.
   * Rejects with RedisRefused where the server says so, and with anything else where the connection failed.
   */
  async send(...args: readonly RedisArgument[]): Promise<RedisReply> {
    if (this.#client === undefined || this.#isOver) throw new Error("the connection is lost");
    try {
      const reply = await this.#client.sendCommand(args, this.#commandOptions);
      this.#heardMs = this.#clock.nowMs();
      return reply as RedisReply;
    } catch (error) {
      if (!this.#isRefusal(error)) throw error;
      this.#heardMs = this.#clock.nowMs();
      throw new RedisRefused(error.message);
    }
  }

  /** Somebody gave up what was begun at `sinceMs`. */
  breakIfSilent(sinceMs: number): void {
    if (this.#clock.nowMs() - Math.max(sinceMs, this.#heardMs) >= SILENT_MS) this.destroy();
  }

  destroy(): void {
    this.#isOver = true;
    try {
      this.#client?.destroy();
    } catch {
      // It was closed already.
    }
  }

  async #connect(server: RedisServer): Promise<void> {
    const redis = await import("@redis/client");
    if (this.#isOver) throw new Error("given up");
    this.#commandOptions = { typeMapping: { [redis.RESP_TYPES.BLOB_STRING]: Buffer } };
    this.#isRefusal = (error) => error instanceof redis.ErrorReply;
    const client = redis.createClient(configOf(server)) as unknown as Client;
    this.#client = client;
    client.on("error", () => this.destroy());
    try {
      await client.connect();
    } catch (error) {
      this.destroy();
      throw error;
    }
    this.#isReady = true;
    this.#heardMs = this.#clock.nowMs();
  }
}

type Config = NonNullable<Parameters<typeof RedisModule.createClient>[0]>;

function configOf({ address, tls, user, password, database }: RedisServer): Config {
  const patience = { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false } as const;
  return {
    socket:
      address.kind === "unix"
        ? { path: address.path, ...patience }
        : {
            host: address.host,
            port: address.port,
            ...patience,
            ...(tls && { tls: true, ...(tls.ca === undefined ? {} : { ca: tls.ca }) }),
          },
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    database,
    // Version 3 is not known to servers before 6.0.
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    // The library's own would make a timer for each command.
    commandOptions: { timeout: 0 },
  };
}
