import type { Config } from "../config/config.ts";
import { countFaults, formatFault } from "../config/format-fault.ts";
import { loadConfig } from "../config/load.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import { unreachable } from "../core/unreachable.ts";
import { openDirectoryOf, openTablesOf, routerOf } from "../daemon.ts";
import { askDaemonOrFile } from "./ask-daemon.ts";
import type { SourceFlags } from "./ask-daemon.ts";
import type { CommandIo } from "./command-io.ts";
import { readGivenAddress } from "./given-address.ts";

type Router = ReturnType<typeof routerOf>;
type Route = Awaited<ReturnType<Router["route"]>>;
type OnQuestion = NonNullable<Parameters<Router["route"]>[1]>;
type RouterQuestion = Parameters<OnQuestion>[0];

export interface RouteOptions extends SourceFlags {
  readonly isJson: boolean;
  readonly addresses: readonly string[];
}

const NO_SOURCE = { kind: "none" } as const;

/** As the admin API tells it, and this command. Names are an interface: scripts read them. */
interface Explained {
  readonly user_key: string;
  readonly decision: Route["kind"];
  readonly backend?: string | undefined;
  /** Where the backend listens; undefined where mail goes to none. */
  readonly lmtp?: string | undefined;
  /** To an unknown user. */
  readonly answer?: "defer" | "reject" | undefined;
  readonly reason?: string | undefined;
  readonly source: Exclude<Route, { kind: "unknown" }>["source"] | typeof NO_SOURCE;
  readonly asked: readonly {
    readonly table: string;
    readonly key: string;
    readonly answer: "found" | "absent" | "failed";
    readonly value?: string | undefined;
  }[];
}

type Explain = (address: string) => Promise<Explained>;

/**
 * `mailshunt route`: asks the running daemon, or the same router made of a file.
 * @returns 0 if all addresses are delivered, 67 if one is unknown or refused, 75 if one is held or its lookup failed,
 * 75 where both are, since then the answer is not final; 64 for what is no address, 78 for a faulty file
 */
export async function runRoute({ isJson, addresses, ...source }: RouteOptions, io: CommandIo): Promise<number> {
  const read = addresses.map(readGivenAddress);
  for (const [index, address] of read.entries())
    if (address.kind === "bad")
      io.stderr.write(`${JSON.stringify(addresses[index])} is no address: ${address.reason}\n`);
  if (read.some(({ kind }) => kind === "bad")) return EXIT.usage;
  async function tell(explain: Explain): Promise<number> {
    let exitCode: number = EXIT.ok;
    for (const address of read) {
      if (address.kind === "bad") continue;
      const explained = await explain(address.value);
      const text = isJson ? `${JSON.stringify(toJson(address.value, explained))}\n` : toText(address.value, explained);
      io.stdout.write(text);
      exitCode = Math.max(exitCode, exitCodeOf(explained.decision));
    }
    return exitCode;
  }
  return askDaemonOrFile(source, io, {
    askDaemon: (client) => tell((address) => client.ask<Explained>("GET", "/v1/route", { query: { address } })),
    askFile: (path) => askFile(path, io, tell),
  });
}

async function askFile(
  path: string,
  { stderr }: CommandIo,
  tell: (explain: Explain) => Promise<number>,
): Promise<number> {
  const loaded = await loadConfig(path, { takesPipe: true });
  if (loaded.kind === "faulty") {
    stderr.write(loaded.faults.map(formatFault).join("") + countFaults(path, loaded.faults));
    return EXIT.config;
  }
  const { config } = loaded;
  const tables = openTablesOf(config, (_level, said) => stderr.write(`${said}\n`));
  const directory = await openDirectoryOf(config);
  if (directory?.kind === "missing")
    stderr.write(`mailshunt: ${directory.path} is not there yet: nobody has an entry in the directory, or is held\n`);
  try {
    return await tell(createExplainer(config, routerOf(config, tables, directory)));
  } finally {
    await directory?.close();
    await tables.close();
  }
}

function createExplainer(config: Config, router: Router): Explain {
  return async (address) => {
    const questions: RouterQuestion[] = [];
    // The router takes an address as it comes over the wire: one character a byte.
    const onWire = Buffer.from(address).toString("latin1");
    const route = await router.route(onWire, (question) => questions.push(question));
    const backend = route.kind === "deliver" ? config.backends.get(route.backend) : undefined;
    return {
      user_key: route.userKey,
      decision: route.kind,
      backend: route.kind === "deliver" ? route.backend : undefined,
      lmtp: backend && formatEndpoint(backend.lmtp),
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
  };
}

function exitCodeOf(decision: Explained["decision"]): number {
  switch (decision) {
    case "deliver":
      return EXIT.ok;
    case "unknown":
    case "refuse":
      return EXIT.noUser;
    case "hold":
    case "failed":
      return EXIT.tempFail;
    default:
      return unreachable(decision);
  }
}

function toText(address: string, explained: Explained): string {
  const rows: readonly (readonly [string, string])[] = [
    ["user key", explained.user_key],
    ["decision", describeDecision(explained)],
    ["because", describeReason(explained)],
    ...explained.asked.map((question) => ["asked", describeQuestion(question)] as const),
  ];
  return `${address}\n${rows.map(([name, value]) => `  ${name.padEnd(10)}${value}\n`).join("")}`;
}

function describeDecision({ decision, backend, lmtp, answer, reason }: Explained): string {
  switch (decision) {
    case "deliver":
      return `deliver to ${backend} at ${lmtp}`;
    case "hold":
      return "hold: 450 4.2.1, the client tries again";
    case "refuse":
      return "refuse: 550 5.7.1, the mail bounces";
    case "unknown":
      return answer === "defer" ? "unknown: 451 4.1.1, the client tries again" : "unknown: 550 5.1.1, the mail bounces";
    case "failed":
      return `failed: 451 4.3.0, the client tries again: ${reason}`;
    default:
      return unreachable(decision);
  }
}

function describeReason({ source }: Explained): string {
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

function describeQuestion({ table, key, answer, value }: Explained["asked"][number]): string {
  const said = { found: "has", absent: "has no", failed: "could not look up" }[answer];
  return `table ${table} ${said} ${key}${answer === "found" ? `: ${value}` : ""}`;
}

/** In this order, whoever was asked. */
function toJson(address: string, explained: Explained): unknown {
  const { user_key, decision, backend, lmtp, answer, reason, source, asked } = explained;
  return {
    address,
    user_key,
    decision,
    backend,
    lmtp,
    answer,
    reason,
    source,
    asked: asked.map(({ table, key, answer: given, value }) => ({ table, key, answer: given, value })),
  };
}
