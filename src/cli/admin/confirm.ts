import { createInterface } from "node:readline";
import { AdminRefused } from "../../admin/client.ts";
import { MOVED_ELSEWHERE } from "../../admin/problem.ts";
import type { CommandIo } from "../command-io.ts";
import { shown } from "./format.ts";

export interface ConfirmFlags {
  /** Without being asked. */
  readonly yes?: true;
}

/**
 * Does what goes against the last move of a user only for who knows better: says so, or is at a terminal and says yes.
 * @param act asks the daemon
 * @throws AdminRefused when nobody says yes
 */
export async function confirming<Reply>(
  name: string,
  { yes }: ConfirmFlags,
  io: CommandIo,
  act: (isConfirmed: boolean) => Promise<Reply>,
): Promise<Reply> {
  try {
    return await act(yes === true);
  } catch (error) {
    if (!(error instanceof AdminRefused) || error.title !== MOVED_ELSEWHERE) throw error;
    const isSure = await ask(`${shown(name)}: ${shown(error.message)}\nDo it all the same? [y/N] `, io);
    if (isSure === true) return act(true);
    const text = isSure === undefined ? `${error.message}. --yes does it all the same` : "left as it was";
    throw new AdminRefused(error.status, error.title, text);
  }
}

/** @returns undefined where there is nobody at a terminal */
async function ask(question: string, { stdin, stderr }: CommandIo): Promise<boolean | undefined> {
  if (stdin.isTTY !== true || !("isTTY" in stderr) || stderr.isTTY !== true) return undefined;
  stderr.write(question);
  // The terminal itself takes care of the line, and of Ctrl-C.
  const lines = createInterface({ input: stdin as unknown as NodeJS.ReadableStream, terminal: false });
  try {
    const { promise, resolve } = Promise.withResolvers<string>();
    lines.once("line", resolve);
    lines.once("close", () => resolve(""));
    return /^\s*y(es)?\s*$/i.test(await promise);
  } finally {
    lines.close();
  }
}
