/**
 * What a daemon has to do while users move: deliveries and questions at a steady rate.
 *
 *   node background-load.ts LMTP-PORT TABLE-PORT DELIVERIES-A-SECOND QUESTIONS-A-SECOND
 *
 * Says `ready`, and goes on until it is killed. Exits 1 when a delivery or a question fails.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connectAsker } from "./asker.ts";
import { connectSender } from "./sender.ts";

const [, , lmtpPort = "", tablePort = "", deliveries = "", questions = ""] = process.argv;
const CONNECTIONS = 10;
const USERS = 1_000;

/** Does it so often; where that takes longer, the next comes at once. */
async function pace(perSecond: number, act: (number: number) => Promise<void>): Promise<never> {
  let dueMs = performance.now();
  for (let number = 0; ; number += 1) {
    dueMs = Math.max(dueMs + 1_000 / perSecond, performance.now() - 1_000);
    const leftMs = dueMs - performance.now();
    if (leftMs > 0) await sleep(leftMs);
    await act(number);
  }
}

const running: Promise<never>[] = [];
for (let connection = 0; connection < CONNECTIONS; connection += 1) {
  const sender = await connectSender(Number(lmtpPort));
  const asker = await connectAsker(Number(tablePort));
  const userOf = (number: number): string => `other${(number * CONNECTIONS + connection) % USERS}`;
  running.push(
    pace(Number(deliveries) / CONNECTIONS, async (number) => {
      const reply = await sender.send(userOf(number));
      if (!reply.startsWith("250")) throw new Error(reply);
    }),
    pace(Number(questions) / CONNECTIONS, async (number) => {
      const answer = await asker.ask(userOf(number));
      if (!answer.startsWith("200 ")) throw new Error(answer);
    }),
  );
}
console.log("ready");
await Promise.all(running);
