import type { Clock } from "../core/clock.ts";
import type { Directory } from "../directory/directory.ts";
import type { MoveService } from "../moves/move-service.ts";
import type { HoldKeeper } from "../moves/hold-keeper.ts";
import type { RouterQuestion } from "../routing/router.ts";
import type { Route } from "../routing/route.ts";
import type { BackendStatus, DeliveryStatus } from "../observe/status.ts";
import type { Table } from "../tables/table.ts";
import type { LoginPlace, LoginService } from "../views/places.ts";

/** A recipient's route and how the router came to it. */
export interface ExplainedRoute {
  readonly route: Route;
  readonly questions: readonly RouterQuestion[];
  /** Where the backend listens; undefined where mail goes to none. */
  readonly lmtp: string | undefined;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  /** Since the start, in ms. */
  readonly uptimeMs: number;
  readonly configuration: string;
  readonly reloads: number;
  /** The last reload, where it failed. */
  readonly failedReload?: ReloadOutcome | undefined;
  /** Process ids; empty where one process does all. */
  readonly workers: readonly number[];
  readonly listeners: readonly { readonly protocol: string; readonly address: string; readonly connections: number }[];
  readonly backends: readonly BackendStatus[];
  readonly deliveriesUnderWay: number;
  readonly parked: number;
  /** The oldest first. */
  readonly deliveries: readonly DeliveryStatus[];
}

export interface ReloadOutcome {
  readonly number: number;
  /** Why nothing has changed; empty when the new configuration is in effect. */
  readonly reasons: readonly string[];
}

/** What the admin API is made of: the running daemon, as `serving.ts` has it. */
export interface AdminServices {
  readonly clock: Clock;
  readonly version: string;
  /** Of all processes. */
  status(maxDeliveries: number): Promise<DaemonStatus>;
  backends(): Promise<readonly BackendStatus[]>;
  backendNames(): readonly string[];
  /** In this daemon, until it ends. @returns false where there is no such backend */
  setBackendDisabled(name: string, isDisabled: boolean): boolean;
  /** The router's user key of an address or a user as somebody types it. */
  userKeyOf(given: string): string;
  /** @param address as a user types it */
  route(address: string): Promise<ExplainedRoute>;
  /** As if the directory had no entry for the user. @param user a user key */
  routeByTables(user: string): Promise<Route>;
  /** Where the users of a backend log in. */
  loginPlace(backend: string, service: LoginService): LoginPlace | undefined;
  /** As listeners ask it. */
  table(name: string): Table | undefined;
  tableNames(): readonly string[];
  /** Empties every cache. */
  flush(): void;
  reload(): Promise<ReloadOutcome>;
  /** Table that decides where users live, by `directory.write_through`; undefined: the directory does. */
  readonly authority: string | undefined;
  /** Undefined where the configuration has no `directory`. */
  readonly directory: Directory | undefined;
  readonly holds: HoldKeeper | undefined;
  readonly moves: MoveService | undefined;
  /** Prometheus' text and its content type. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Whether mail can be routed: what `/ready` says. Backends that are down do not count. */
  isReady(): boolean;
}
