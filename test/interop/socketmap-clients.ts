import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Postfix } from "../support/postfix.ts";

/** `postmap -q -` with keys that come slowly. */
export async function queryWithPause(
  { configFolder }: Postfix,
  table: string,
  keys: readonly string[],
  pauseMs: number,
): Promise<unknown> {
  const child = spawn("postmap", ["-c", configFolder, "-q", "-", table], { stdio: ["pipe", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const [first = "", ...others] = keys;
  child.stdin.write(`${first}\n`);
  for (const key of others) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    child.stdin.write(`${key}\n`);
  }
  child.stdin.end();
  const [code, signal] = (await once(child, "close")) as (number | string | null)[];
  return { code, signal, out };
}

/** Clients that have asked once, no more of them at a time than wait in the listener's backlog. */
export async function connectIdle(path: string, count: number, request: string, answer: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const more = Array.from({ length: Math.min(500, count - sockets.length) }, () => connect(path));
    sockets.push(...more);
    // Whoever waits for an answer hears of the end, too.
    for (const socket of more) socket.on("error", () => undefined);
    await askAll(more, request, answer);
  }
  return sockets;
}

/** The same request by each, at once. */
export async function askAll(sockets: readonly Socket[], request: string, wanted: string): Promise<void> {
  const answers = await Promise.all(
    sockets.map(async (socket) => {
      socket.write(request);
      const [answer] = (await once(socket, "data")) as Buffer[];
      return answer?.toString();
    }),
  );
  assert.deepEqual(new Set(answers), new Set([wanted]));
}
