import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import { CannotListen, messageOf } from "../net/cannot-listen.ts";
import type { Listener, ListenerEvents, ListenOptions } from "../net/listener.ts";
import type { ConnectionServer } from "./connection-server.ts";
import type { ListenerOptions } from "./options.ts";

export interface ListenerSetParts {
  /** How a listener is opened. @throws CannotListen */
  readonly listen: (options: ListenOptions & ListenerOptions, events: ListenerEvents) => Promise<Listener>;
  readonly makeServer: (options: ListenerOptions) => ConnectionServer;
  readonly onAcceptFailed: (address: Endpoint, error: Error) => void;
}

export interface ListenerStatus {
  readonly options: ListenerOptions;
  readonly address: Endpoint;
  readonly connectionCount: number;
}

/** Listeners opened for a configuration that is not in effect yet. */
export interface PreparedListeners {
  /** Puts them in effect: the others stop accepting, but their clients stay. Rights of sockets that stay are changed. */
  commit(): void;
  /** Closes what was opened. */
  abort(): void;
  /** Those that will be in effect, by address as configured. */
  readonly listeners: ReadonlyMap<string, Listener>;
}

interface Clients {
  server: ConnectionServer;
  /** Who came before `open`. */
  waiting: Socket[] | undefined;
}

interface Entry {
  readonly listener: Listener;
  readonly clients: Clients;
  options: ListenerOptions;
}

/** All listeners of the daemon and their clients, across reloads. */
export class ListenerSet {
  readonly #parts: ListenerSetParts;
  /** By the address as configured. */
  #entries = new Map<string, Entry>();
  /** Servers whose listener is closed or has other options now, while they have clients. */
  #retired = new Set<ConnectionServer>();

  constructor(parts: ListenerSetParts) {
    this.#parts = parts;
  }

  get addresses(): readonly Endpoint[] {
    return [...this.#entries.values()].map(({ listener }) => listener.address);
  }

  /** By address as configured. */
  get listeners(): ReadonlyMap<string, Listener> {
    return listenersOf(this.#entries);
  }

  /** Of those that accept. */
  get status(): readonly ListenerStatus[] {
    return [...this.#entries.values()].map(({ listener, clients, options }) => ({
      options,
      address: listener.address,
      connectionCount: clients.server.connectionCount,
    }));
  }

  get connectionCount(): number {
    return this.#servers().reduce((sum, server) => sum + server.connectionCount, 0);
  }

  /**
   * Opens the listeners that are not open yet, or whose socket was removed.
   * @throws AggregateError of CannotListen, one for each that cannot be opened; then nothing has changed
   */
  async prepare(wanted: readonly ListenerOptions[]): Promise<PreparedListeners> {
    const next = new Map<string, Entry>();
    const opened: Entry[] = [];
    const failures: unknown[] = [];
    for (const options of wanted) {
      const key = formatEndpoint(options.address);
      const current = this.#entries.get(key);
      if (next.has(key)) failures.push(new CannotListen(options.address, "it is configured twice"));
      else
        try {
          if (current !== undefined && !current.listener.isGone()) {
            next.set(key, current);
            await current.listener.checkAccess(options);
            continue;
          }
          const entry = await this.#open(options);
          opened.push(entry);
          next.set(key, entry);
        } catch (error) {
          failures.push(error);
        }
    }
    const abort = (): void => {
      for (const { listener, clients } of opened) {
        listener.close();
        for (const socket of clients.waiting ?? []) socket.destroy();
      }
    };
    if (failures.length > 0) {
      abort();
      throw new AggregateError(failures, failures.map((error) => String(error)).join("; "));
    }
    return { commit: () => this.#commit(next, wanted), abort, listeners: listenersOf(next) };
  }

  /** Serves clients from now on, those first who came since the listeners were opened. To be called after `commit`. */
  open(): void {
    for (const { clients } of this.#entries.values()) {
      const { waiting = [] } = clients;
      clients.waiting = undefined;
      for (const socket of waiting) clients.server.accept(socket);
    }
  }

  /** Applies the rights that the configuration gives to sockets. @returns what could not be done */
  async applyAccess(): Promise<readonly string[]> {
    const results = await Promise.allSettled(
      [...this.#entries.values()].map(({ listener, options }) => listener.changeAccess(options)),
    );
    return results.flatMap((result) => (result.status === "rejected" ? [messageOf(result.reason)] : []));
  }

  /** In this turn; sockets are removed. */
  stopAccepting(): void {
    for (const { listener } of this.#entries.values()) listener.close();
  }

  /** Resolves when no client is left. */
  async emptied(): Promise<void> {
    await Promise.all(this.#servers().map((server) => server.emptied()));
  }

  /** Lets messages under way finish; resolves when no client is left. */
  async shutdown(): Promise<void> {
    await Promise.all(this.#servers().map((server) => server.shutdown()));
  }

  /** Ends all clients at once. */
  destroy(): void {
    for (const server of this.#servers()) server.destroy();
  }

  #servers(): ConnectionServer[] {
    return [...this.#retired, ...[...this.#entries.values()].map(({ clients }) => clients.server)];
  }

  async #open(options: ListenerOptions): Promise<Entry> {
    const { address } = options;
    const clients: Clients = { server: this.#parts.makeServer(options), waiting: [] };
    const listener = await this.#parts.listen(
      { ...options, hasSmallReads: true, endsSilentClients: options.protocol === "lmtp" },
      {
        accept(socket) {
          if (clients.waiting === undefined) return clients.server.accept(socket);
          socket.on("error", () => {}); // its server will hear of the end
          clients.waiting.push(socket);
        },
        acceptFailed: (error) => this.#parts.onAcceptFailed(address, error),
      },
    );
    return { listener, clients, options };
  }

  #commit(next: Map<string, Entry>, wanted: readonly ListenerOptions[]): void {
    for (const server of this.#retired) if (server.connectionCount === 0) this.#retired.delete(server);
    for (const [key, entry] of this.#entries) {
      if (next.get(key) === entry) continue;
      entry.listener.close();
      this.#retired.add(entry.clients.server);
    }
    this.#entries = next;
    for (const options of wanted) {
      const entry = next.get(formatEndpoint(options.address));
      if (entry !== undefined) this.#update(entry, options);
    }
  }

  /** New limits hold for new clients; those who are there keep the old ones. */
  #update(entry: Entry, options: ListenerOptions): void {
    if (!isDeepStrictEqual(limitsOf(entry.options), limitsOf(options))) {
      this.#retired.add(entry.clients.server);
      entry.clients.server = this.#parts.makeServer(options);
    }
    entry.options = options;
  }
}

const listenersOf = (entries: ReadonlyMap<string, Entry>): ReadonlyMap<string, Listener> =>
  new Map([...entries].map(([key, { listener }]) => [key, listener]));

function limitsOf(options: ListenerOptions): Partial<ListenerOptions> {
  const { owner: _owner, group: _group, permissions: _permissions, ...limits } = options;
  return limits;
}
