import type { Config } from "../config/config.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { loadConfig } from "../config/load.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import { unreachable } from "../core/unreachable.ts";
import { openTablesOf, routerOf } from "../daemon.ts";
import type { TextOutput } from "./check.ts";
import { readGivenAddress } from "./given-address.ts";

type Router = ReturnType<typeof routerOf>;
type Route = Awaited<ReturnType<Router["route"]>>;
type OnQuestion = NonNullable<Parameters<Router["route"]>[1]>;
type RouterQuestion = Parameters<OnQuestion>[0];

export interface RouteOptions {
  readonly path: string;
  readonly isJson: boolean;
  readonly addresses: readonly string[];
}

const NO_SOURCE = { kind: "none" } as const;

interface Explained {
  readonly address: string;
  readonly route: Route;
  readonly questions: readonly RouterQuestion[];
  /** Where the backend listens; undefined where mail goes to none. */
  readonly lmtp: string | undefined;
}

/**
 * `mailshunt route`: asks the daemon's own router, of the configuration as the file says now.
 * @returns 0 if all addresses are delivered, 67 if one is unknown or refused, 75 if one is held or its lookup failed,
 * 75 where both are, since then the answer is not final; 64 for what is no address, 78 for a faulty file
 */
export async function runRoute(
  { path, isJson, addresses }: RouteOptions,
  out: TextOutput,
  err: TextOutput,
): Promise<number> {
  const read = addresses.map(readGivenAddress);
  for (const [index, address] of read.entries())
    if (address.kind === "bad") err.write(`${JSON.stringify(addresses[index])} is no address: ${address.reason}\n`);
  if (read.some(({ kind }) => kind === "bad")) return EXIT.usage;
  const loaded = await loadConfig(path, { takesPipe: true });
  if (loaded.kind === "faulty") {
    err.write(loaded.faults.map(formatFault).join("") + countFaults(path, loaded.faults));
    return EXIT.config;
  }
  const tables = openTablesOf(loaded.config, (_level, said) => err.write(`${said}\n`));
  const explain = createExplainer(loaded.config, routerOf(loaded.config, tables));
  let exitCode: number = EXIT.ok;
  for (const address of read) {
    if (address.kind === "bad") continue;
    const explained = await explain(address.value);
    out.write(isJson ? `${JSON.stringify(toJson(explained))}\n` : toText(explained));
    exitCode = Math.max(exitCode, exitCodeOf(explained.route));
  }
  await tables.close();
  return exitCode;
}

function createExplainer(config: Config, router: Router): (address: string) => Promise<Explained> {
  return async (address) => {
    const questions: RouterQuestion[] = [];
    // The router takes an address as it comes over the wire: one character a byte.
    const onWire = Buffer.from(address).toString("latin1");
    const route = await router.route(onWire, (question) => questions.push(question));
    const backend = route.kind === "deliver" ? config.backends.get(route.backend) : undefined;
    return { address, route, questions, lmtp: backend && formatEndpoint(backend.lmtp) };
  };
}

function exitCodeOf({ kind }: Route): number {
  switch (kind) {
    case "deliver":
      return EXIT.ok;
    case "unknown":
    case "refuse":
      return EXIT.noUser;
    case "hold":
    case "failed":
      return EXIT.tempFail;
    default:
      return unreachable(kind);
  }
}

function toText({ address, route, questions, lmtp }: Explained): string {
  const rows: readonly (readonly [string, string])[] = [
    ["user key", route.userKey],
    ["decision", describeDecision(route, lmtp)],
    ["because", describeReason(route)],
    ...questions.map((question) => ["asked", describeQuestion(question)] as const),
  ];
  return `${address}\n${rows.map(([name, value]) => `  ${name.padEnd(10)}${value}\n`).join("")}`;
}

function describeDecision(route: Route, lmtp: string | undefined): string {
  switch (route.kind) {
    case "deliver":
      return `deliver to ${route.backend} at ${lmtp}`;
    case "hold":
      return "hold: 450 4.2.1, the client tries again";
    case "refuse":
      return "refuse: 550 5.7.1, the mail bounces";
    case "unknown":
      return route.answer === "defer"
        ? "unknown: 451 4.1.1, the client tries again"
        : "unknown: 550 5.1.1, the mail bounces";
    case "failed":
      return `failed: 451 4.3.0, the client tries again: ${route.reason}`;
    default:
      return unreachable(route);
  }
}

function describeReason(route: Route): string {
  const source = route.kind === "unknown" ? NO_SOURCE : route.source;
  switch (source.kind) {
    case "hold":
      return `a hold of ${source.owner}${source.reason === "" ? "" : `: ${source.reason}`}`;
    case "directory":
      return "the directory's entry";
    case "table":
      return `table ${source.table}, key ${source.key}`;
    case "fallback":
      return "no table has the user: routing.fallback";
    case "none":
      return "no table has the user, and there is no routing.fallback";
    default:
      return unreachable(source);
  }
}

function describeQuestion({ table, key, answer }: RouterQuestion): string {
  const said = { found: "has", absent: "has no", failed: "could not look up" }[answer.kind];
  return `table ${table} ${said} ${key}${answer.kind === "found" ? `: ${answer.value}` : ""}`;
}

/** Field names are an interface: scripts read them. */
function toJson({ address, route, questions, lmtp }: Explained): unknown {
  return {
    address,
    user_key: route.userKey,
    decision: route.kind,
    backend: route.kind === "deliver" ? route.backend : undefined,
    lmtp,
    answer: route.kind === "unknown" ? route.answer : undefined,
    reason: route.kind === "failed" ? route.reason : undefined,
    source: route.kind === "unknown" ? NO_SOURCE : route.source,
    asked: questions.map(({ table, key, answer }) => ({
      table,
      key,
      answer: answer.kind,
      value: answer.kind === "found" ? answer.value : undefined,
    })),
  };
}
