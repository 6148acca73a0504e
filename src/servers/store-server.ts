import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { listen } from "../net/listener.ts";
import { StoreMessage } from "../store/store-message.ts";
import type { StoreOptions } from "../store/options.ts";
import { openStore, type Store } from "../store/store.ts";
import { createLmtpServer } from "./lmtp-server.ts";
import type { LmtpListener } from "./options.ts";
import type { LmtpService } from "./service.ts";

export interface StoreServerOptions {
  readonly store: StoreOptions;
  readonly listener: LmtpListener;
  /** Longest command line in bytes, CR LF included. */
  readonly maxLineBytes: number;
  /** How long a client may be silent, in ms. */
  readonly idleTimeoutMs: number;
}

export interface StoreServer {
  /** With the port the system chose where 0 was asked for. */
  readonly address: Endpoint;
  /** Takes no more clients and lets messages under way finish; after `graceMs` the rest is cut off. */
  shutdown(graceMs: number): Promise<void>;
  /** Ends all at once: what has no final dot is not delivered. */
  destroy(): void;
}

/**
 * An LMTP server that keeps Maildirs.
 * @throws CannotListen, or what the file system throws for the directory or the file of users
 */
export async function startStoreServer(options: StoreServerOptions, clock: Clock, log: Log): Promise<StoreServer> {
  const store = await openStore(options.store, clock, log);
  const service = createStoreService(store, options, clock, log);
  const server = createLmtpServer({ listener: options.listener, service, clock, log });
  const listener = await listen(options.listener, {
    accept: (socket) => server.accept(socket),
    acceptFailed: (error) =>
      log.write({
        kind: "message",
        level: "error",
        part: "store",
        text: `cannot accept on ${formatEndpoint(options.listener.address)}: ${error.message}`,
      }),
  });
  return {
    address: listener.address,
    async shutdown(graceMs) {
      listener.close();
      const timer = clock.after(graceMs, () => server.destroy());
      await server.shutdown();
      timer.cancel();
    },
    destroy() {
      listener.close();
      server.destroy();
    },
  };
}

function createStoreService(store: Store, options: StoreServerOptions, clock: Clock, log: Log): LmtpService {
  const { hostname, maxMessageBytes } = store.options;
  return {
    limits: {
      maxLineBytes: options.maxLineBytes,
      maxMessageBytes,
      newlines: "normalize",
      idleTimeoutMs: options.idleTimeoutMs,
    },
    announcement: (isTrustedClient) => ({
      hostname,
      loopToken: undefined,
      sizeLimitBytes: maxMessageBytes,
      smtpUtf8: true,
      dsn: false,
      xforward: isTrustedClient,
    }),
    begin: (mail, { session }, onDrain) => new StoreMessage(mail, { store, session, clock, log, onDrain }),
  };
}
