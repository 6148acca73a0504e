import { EXIT } from "../core/exit-codes.ts";
import { unreachable } from "../core/unreachable.ts";
import type { CommandIo, TextInput } from "./command-io.ts";
import { withTable } from "./config-tables.ts";
import type { OpenedTable } from "./config-tables.ts";

type Answer = Awaited<ReturnType<OpenedTable["lookup"]>>;

export interface QueryOptions {
  readonly path: string;
  readonly isJson: boolean;
  readonly table: string;
  /** `-` alone reads them from stdin, one a line. */
  readonly keys: readonly string[];
}

/** As postmap(1) says it: the one exit code below 64 that is no success. */
const ABSENT = 1;

/**
 * `mailshunt query`: asks a table as its listeners do.
 * @returns 0 if every key was found, 1 if one is absent, 75 if a lookup failed; 64 for a table that there is not, 78 for a
 * faulty file
 */
export async function runQuery({ path, isJson, table: name, keys }: QueryOptions, io: CommandIo): Promise<number> {
  return withTable(path, name, io.stderr, async ({ table }) => {
    const isFromStdin = keys.length === 1 && keys[0] === "-";
    const showsKey = isFromStdin || keys.length > 1;
    let exitCode = 0;
    for await (const key of isFromStdin ? linesOf(io.stdin) : keys) {
      if (io.stdout.destroyed === true) break;
      const answer = await table.lookup(key);
      if (isJson) io.stdout.write(`${JSON.stringify(toJson(key, answer))}\n`);
      else if (answer.kind === "found") io.stdout.write(`${showsKey ? `${key}\t` : ""}${answer.value}\n`);
      else if (answer.kind === "failed")
        io.stderr.write(`mailshunt: ${name} ${key}: lookup failed: ${answer.reason}\n`);
      exitCode = Math.max(exitCode, exitCodeOf(answer));
    }
    return exitCode;
  });
}

function exitCodeOf({ kind }: Answer): number {
  switch (kind) {
    case "found":
      return EXIT.ok;
    case "absent":
      return ABSENT;
    case "failed":
      return EXIT.tempFail;
    default:
      return unreachable(kind);
  }
}

/** Field names are an interface: scripts read them. */
function toJson(key: string, answer: Answer): unknown {
  return {
    key,
    answer: answer.kind,
    value: answer.kind === "found" ? answer.value : undefined,
    values: answer.kind === "found" ? answer.values : undefined,
    reason: answer.kind === "failed" ? answer.reason : undefined,
  };
}

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
