import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { connectAsker } from "./asker.ts";
import { connectSender } from "./sender.ts";
import type { SlowStore } from "./store.ts";
import { startMoves } from "./world.ts";
import type { MoveWorld } from "./world.ts";

/** Between two holds or moves, in ms: nothing of the last one is left then. */
const PAUSE_MS = 20;

interface HoldAnswer {
  readonly drain: { readonly outcome: string };
}

/**
 * Holds users, and waits for the drain. In ms, from the request to its answer.
 * @throws Error where one is not drained
 */
export async function measureIdleHolds({ admin }: MoveWorld, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const user = `held${number}`;
    const startMs = performance.now();
    const { drain } = await admin.ask<HoldAnswer>("POST", "/v1/holds", { body: { user } });
    tookMs.push(performance.now() - startMs);
    if (drain.outcome !== "drained") throw new Error(`${user} is ${drain.outcome}`);
    await admin.ask("DELETE", "/v1/holds", { query: { user } });
    await sleep(PAUSE_MS);
  }
  return tookMs;
}

/**
 * Holds users to whom a message is under way, past its final dot. In ms, from the request, or from the store's answer to
 * the dot where that comes later.
 */
export async function measureHolds({ admin, lmtpPort }: MoveWorld, store: SlowStore, count: number): Promise<number[]> {
  const beyondMs: number[] = [];
  const sender = await connectSender(lmtpPort);
  try {
    for (let number = 0; number < count; number += 1) {
      const user = `busy${number}`;
      const sent = Promise.withResolvers<void>();
      const delivered = sender.send(user, sent.resolve).then((reply) => {
        if (!reply.startsWith("250")) throw new Error(`a message for ${user} was answered ${reply}`);
      });
      await Promise.race([sent.promise, delivered]);
      // So that the dot is with the store.
      await sleep(2);
      const startMs = performance.now();
      const { drain } = await admin.ask<HoldAnswer>("POST", "/v1/holds", { body: { user } });
      const drainedMs = performance.now();
      if (drain.outcome !== "drained") throw new Error(`${user} is ${drain.outcome}`);
      await delivered;
      beyondMs.push(drainedMs - Math.max(startMs, store.answeredMs()));
      await admin.ask("DELETE", "/v1/holds", { query: { user } });
      await sleep(PAUSE_MS);
    }
  } finally {
    sender.close();
  }
  return beyondMs;
}

export interface SwitchLatencies {
  /** How long the first answer took that says the new store, in ms. */
  readonly visibleMs: readonly number[];
  /** How long the answers before it took. */
  readonly ordinaryMs: readonly number[];
  /** Questions that came after the switch was on the disk, and were answered with the old store. */
  readonly stale: number;
}

/** Moves users one after the other, and keeps asking where they live meanwhile. */
export async function measureSwitches(world: MoveWorld, count: number): Promise<SwitchLatencies> {
  const { directory, tablePort } = world;
  const asker = await connectAsker(tablePort);
  const visibleMs: number[] = [];
  const ordinaryMs: number[] = [];
  let stale = 0;
  try {
    for (let number = 0; number < count; number += 1) {
      const user = `seen${number}`;
      const started = startMoves(world, [user], "nothing");
      for (;;) {
        const isCommitted = directory.findBackend(user) === "new";
        const askedMs = performance.now();
        const answer = await asker.ask(user);
        const tookMs = performance.now() - askedMs;
        if (answer === "200 new") {
          visibleMs.push(tookMs);
          break;
        }
        if (answer !== "200 old") throw new Error(`where ${user} lives was answered ${answer}`);
        if (isCommitted) stale += 1;
        ordinaryMs.push(tookMs);
        await turn();
      }
      await started;
      await sleep(PAUSE_MS);
    }
  } finally {
    asker.close();
  }
  return { visibleMs, ordinaryMs, stale };
}
