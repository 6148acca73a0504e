import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { AdminClient } from "../../admin/client.ts";
import { EXIT } from "../../core/exit-codes.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo, TextOutput } from "../command-io.ts";
import { count, shown } from "./format.ts";
import { unlessInterrupted } from "./interrupt.ts";
import type { UserFlags } from "./user.ts";
import { withAdmin } from "./with-admin.ts";

interface ImportReply {
  readonly dry_run: boolean;
  readonly read: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly repeated: number;
  readonly refused: number;
  readonly refusals: readonly { readonly user: string; readonly move: string }[];
  readonly contradicted: number;
  readonly contradictions: readonly {
    readonly user: string;
    readonly backend: string;
    readonly moved_to: string;
    readonly move: string;
  }[];
  readonly invalid: number;
  readonly faults: readonly { readonly entry: number; readonly fault: string }[];
}

/**
 * `mailshunt user import`: `-` reads stdin.
 * @returns 0 if every line counted, 65 if some were left out, 66 for no file, 130 when it was interrupted
 */
export async function runUserImport(file: string, flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const text = file === "-" ? io.stdin : await openFile(file, io);
    return unlessInterrupted(
      () => importUsers(client, { file, text }, flags, io),
      () => (flags.dryRun === true ? DRY_TEXT : INTERRUPTED_TEXT),
      io.stderr,
    );
  });
}

const DRY_TEXT = "\nmailshunt: interrupted: nothing was written\n";
const INTERRUPTED_TEXT =
  "\nmailshunt: interrupted: the entries written so far stay; to write the others, import the file once more\n";

interface Given {
  readonly file: string;
  readonly text: AsyncIterable<Buffer | string>;
}

async function importUsers(
  client: AdminClient,
  { file, text }: Given,
  flags: UserFlags,
  { stdout, stderr }: CommandIo,
): Promise<number> {
  const reply = await client.ask<ImportReply>("POST", "/v1/users/import", {
    query: { dry_run: String(flags.dryRun === true), confirmed: String(flags.yes === true), why: flags.why },
    text,
  });
  const tell = (line: string): void => void stderr.write(`mailshunt: ${line}\n`);
  const { faults, invalid, refusals, refused, contradictions, contradicted } = reply;
  stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : reportText(reply));
  for (const { entry, fault } of faults) tell(`${file}:${entry}: ${shown(fault)}`);
  if (invalid > faults.length) tell(`${file}: and ${count(invalid - faults.length, "more such line")}`);
  for (const { user, move } of refusals) tell(`${shown(user)} left alone: is being moved by ${shown(move)}`);
  if (refused > refusals.length) tell(`and ${count(refused - refusals.length, "more user")} being moved`);
  for (const { user, moved_to: movedTo, move, backend } of contradictions)
    tell(
      `${shown(user)} left alone: ${shown(move)} has put the mailbox in ${shown(movedTo)}, not in ${shown(backend)}`,
    );
  if (contradicted > contradictions.length)
    tell(`and ${count(contradicted - contradictions.length, "more user")} whose mailbox a move has put elsewhere`);
  if (contradicted > 0)
    tell("their mail would miss the mailbox, and the next move would copy over it; --yes sets them all the same");
  return invalid + refused + contradicted === 0 ? EXIT.ok : EXIT.dataErr;
}

function reportText(reply: ImportReply): string {
  const { created, changed, unchanged, repeated, invalid, refused, contradicted } = reply;
  const leftOut = invalid + refused + contradicted;
  const others = [
    ...(repeated === 0 ? [] : [`${repeated} came twice`]),
    ...(leftOut === 0 ? [] : [`${leftOut} left out`]),
  ];
  const counts = [`${created} new`, `${changed} changed`, `${unchanged} as they were`, ...others].join(", ");
  return `${reply.dry_run ? "would be: " : ""}${counts}\n`;
}

/** How often a terminal is told how far it is, in ms. */
const PROGRESS_EVERY_MS = 500;

/** Reads the file, and tells at a terminal how much of it the daemon has taken. */
async function openFile(file: string, { stderr }: CommandIo): Promise<AsyncIterable<Buffer>> {
  const opened = await open(file).catch((error: unknown) => {
    throw cannotRead(file, error);
  });
  const stats = await opened.stat();
  if (stats.isDirectory()) {
    await opened.close();
    throw cannotRead(file, new Error("it is a folder"));
  }
  const chunks = readAll(opened, file);
  return "isTTY" in stderr && stderr.isTTY === true && stats.size > 0
    ? withProgress(chunks, stats.size, stderr)
    : chunks;
}

const cannotRead = (file: string, error: unknown): CommandFault =>
  new CommandFault(EXIT.noInput, `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);

async function* readAll(opened: FileHandle, file: string): AsyncGenerator<Buffer, undefined> {
  try {
    yield* opened.createReadStream() as AsyncIterable<Buffer>;
  } catch (error) {
    throw cannotRead(file, error);
  }
}

async function* withProgress(
  chunks: AsyncIterable<Buffer>,
  size: number,
  stderr: TextOutput,
): AsyncGenerator<Buffer, undefined> {
  let taken = 0;
  let toldMs = performance.now();
  for await (const chunk of chunks) {
    yield chunk;
    taken += chunk.length;
    if (performance.now() - toldMs < PROGRESS_EVERY_MS) continue;
    toldMs = performance.now();
    stderr.write(`\r${Math.floor((100 * taken) / size)} % of the file taken\u001b[K`);
  }
  stderr.write("\r\u001b[K");
}
