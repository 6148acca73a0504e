import { EXIT } from "../core/exit-codes.ts";
import { unreachable } from "../core/unreachable.ts";
import { askDaemonOrFile } from "./ask-daemon.ts";
import type { SourceFlags } from "./ask-daemon.ts";
import type { CommandIo, TextInput } from "./command-io.ts";
import { withTable } from "./config-tables.ts";
import type { OpenedTable } from "./config-tables.ts";

type Answer = Awaited<ReturnType<OpenedTable["lookup"]>>;

/** As the admin API and this command tell it. Names are an interface: scripts read them. */
interface Told {
  readonly answer: Answer["kind"];
  readonly value?: string | undefined;
  readonly values?: readonly string[] | undefined;
  readonly reason?: string | undefined;
}

type Lookup = (key: string) => Promise<Told>;

export interface QueryOptions extends SourceFlags {
  readonly isJson: boolean;
  readonly table: string;
  /** `-` alone reads them from stdin, one a line. */
  readonly keys: readonly string[];
}

/** As postmap(1) says it: the one exit code below 64 that is no success. */
const ABSENT = 1;

/**
 * `mailshunt query`: asks a table as its listeners do, that of the running daemon or that of a file.
 * @returns 0 if every key was found, 1 if one is absent, 75 if a lookup failed; 64 for a table that there is not, 78 for a
 * faulty file
 */
export async function runQuery(options: QueryOptions, io: CommandIo): Promise<number> {
  const { isJson, table: name, keys, ...source } = options;
  const isFromStdin = keys.length === 1 && keys[0] === "-";
  const showsKey = isFromStdin || keys.length > 1;
  async function tell(lookup: Lookup): Promise<number> {
    let exitCode = 0;
    for await (const key of isFromStdin ? linesOf(io.stdin) : keys) {
      const told = await lookup(key);
      if (isJson) io.stdout.write(`${JSON.stringify({ key, ...toJson(told) })}\n`);
      else if (told.answer === "found") io.stdout.write(`${showsKey ? `${key}\t` : ""}${told.value}\n`);
      else if (told.answer === "failed") io.stderr.write(`mailshunt: ${name} ${key}: lookup failed: ${told.reason}\n`);
      exitCode = Math.max(exitCode, exitCodeOf(told.answer));
    }
    return exitCode;
  }
  return askDaemonOrFile(source, io, {
    askDaemon: (client) => tell((key) => client.ask<Told>("GET", "/v1/query", { query: { table: name, key } })),
    askFile: (path) =>
      withTable(path, name, io.stderr, ({ table }) => tell(async (key) => toTold(await table.lookup(key)))),
  });
}

function toTold(given: Answer): Told {
  switch (given.kind) {
    case "found":
      return { answer: "found", value: given.value, values: given.values };
    case "absent":
      return { answer: "absent" };
    case "failed":
      return { answer: "failed", reason: given.reason };
  }
}

function exitCodeOf(answer: Told["answer"]): number {
  switch (answer) {
    case "found":
      return EXIT.ok;
    case "absent":
      return ABSENT;
    case "failed":
      return EXIT.tempFail;
    default:
      return unreachable(answer);
  }
}

/** In this order, whoever was asked. */
const toJson = ({ answer, value, values, reason }: Told): Told => ({ answer, value, values, reason });

async function* linesOf(input: TextInput): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of input) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}
