import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { DeliveryRecord } from "../../src/core/log.ts";
import type { Answer } from "../../src/tables/table.ts";
import { startFakeBackend, type FakeBackend } from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { isPositive, messagePlan, sendMessage, type MessageOutcome, type MessagePlan } from "./client-plan.ts";
import { isInStep, mayRefuse, storePlan, toFakeOptions, type StorePlan } from "./store-faults.ts";

const STORES = ["a", "b", "c"] as const;
type StoreName = (typeof STORES)[number];

/** Short, since stores that stall are waited for; too short for a busy machine costs a 451 and breaks no rule. */
const STALL_MS = 60;
const TIMEOUTS = {
  connectMs: STALL_MS,
  greetingMs: STALL_MS,
  commandMs: STALL_MS,
  dataMs: STALL_MS,
  bodyMs: STALL_MS,
  finalMs: STALL_MS,
};
const PATIENT = Object.fromEntries(Object.keys(TIMEOUTS).map((key) => [key, 10_000])) as typeof TIMEOUTS;

interface Run {
  readonly messages: readonly MessagePlan[];
  readonly outcomes: readonly MessageOutcome[];
  readonly stores: ReadonlyMap<string, FakeBackend>;
  /** Delivery lines of the log. */
  readonly deliveries: readonly DeliveryRecord[];
}

/** One client, all its messages on one connection, until it leaves. */
async function play(
  plans: Readonly<Record<StoreName, StorePlan>>,
  messages: readonly MessagePlan[],
  chunkBytes: number | undefined,
  timeouts: typeof TIMEOUTS,
): Promise<Run> {
  await using resources = new AsyncDisposableStack();
  const stores = new Map<string, FakeBackend>();
  for (const name of STORES) stores.set(name, resources.use(await startFakeBackend(toFakeOptions(plans[name]))));
  const backends = Object.fromEntries([...stores].map(([name, { endpoint }]) => [name, { lmtp: endpoint, timeouts }]));
  const lmtp = { dataTimeoutMs: 2 * timeouts.dataMs };
  const proxy = resources.use(await startProxy({ backends, lookup, lmtp }));
  const client = resources.use(await connectLmtp(proxy.endpoint));
  await client.lhlo();
  const outcomes: MessageOutcome[] = [];
  for (const [index, message] of messages.entries()) {
    outcomes.push(await sendMessage(client, message, `m${index}@x.example`, chunkBytes));
    if (message.ends === "leaves" || message.ends === "breaks") break;
  }
  // What is still under way may not do what it must not.
  client.end();
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return { messages, outcomes, stores, deliveries: proxy.deliveries };
}

/** Users by the first letters of their names; odd ones are looked up slowly. */
function lookup(key: string): Answer | Promise<Answer> {
  const home = key.replace(/\d$/, "");
  const answer: Answer =
    home === "nobody"
      ? { kind: "absent" }
      : home === "trouble"
        ? { kind: "failed", reason: "the table is on fire" }
        : { kind: "found", value: home };
  if (!/[13]$/.test(key)) return answer;
  return new Promise((resolve) => setImmediate(resolve, answer));
}

const homeOf = (user: string): string => user.replace(/\d$/, "");

function check({ messages, outcomes, stores, deliveries }: Run, plans: Readonly<Record<StoreName, StorePlan>>): void {
  for (const [index, outcome] of outcomes.entries()) {
    const message = messages[index];
    assert.ok(message);
    const sender = `m${index}@x.example`;
    const logged = (status: DeliveryRecord["status"], store?: string): number =>
      deliveries.filter(
        (line) => line.sender === sender && line.status === status && line.backend === (store ?? line.backend),
      ).length;
    const deliveredBy = (store: string) =>
      stores.get(store)?.delivered.filter((transaction) => transaction.sender === sender) ?? [];

    for (const [at, user] of message.users.entries()) {
      const home = homeOf(user);
      const rcpt = outcome.rcpt[at] ?? "";
      const last = isPositive(rcpt) ? outcome.final[at] : rcpt;
      if (home === "hold") assert.match(rcpt, /^450 4\.2\.1 /);
      else if (home === "refuse") assert.match(rcpt, /^550 5\.7\.1 /);
      else if (home === "nobody") assert.match(rcpt, /^451 4\.1\.1 /);
      else if (home === "trouble") assert.match(rcpt, /^451 4\.3\.0 /);
      else if (last?.startsWith("5") === true)
        assert.ok(mayRefuse(plans[home as StoreName]), `5xx for ${user} of a store that gave none: ${last}`);
      assert.ok(last === undefined || !/^(?:421|3)/.test(last), `a reply that is none: ${last}`);
    }
    // DATA as a whole: 503 where nobody is left, else what a store said.
    if (/^5(?!03)/.test(outcome.data))
      assert.ok(
        STORES.some((store) => mayRefuse(plans[store])),
        outcome.data,
      );

    for (const store of STORES) {
      const delivered = deliveredBy(store);
      assert.ok(delivered.length <= 1, `${store} got ${sender} ${delivered.length} times`);
      if (!outcome.isComplete) assert.deepEqual(delivered, [], `${store} got a message that its client did not finish`);
      const good: number = message.users.filter(
        (user, at) => homeOf(user) === store && isPositive(outcome.final[at]),
      ).length;
      if (good > 0) assert.equal(delivered.length, 1, `${good} recipients of ${store} were told what is not true`);
      if (!isInStep(plans[store])) continue;
      const [transaction] = delivered;
      const replies = transaction?.finalReplies ?? [];
      const silent = (transaction?.recipients.filter(({ accepted }) => accepted).length ?? 0) - replies.length;
      assert.ok(logged("uncertain", store) >= silent, `${silent} recipients may have their mail, and the log is sure`);
      assert.ok(good <= replies.filter(isPositive).length, `${store} took fewer than ${good}`);
    }
    const good = outcome.final.filter(isPositive).length;
    assert.equal(logged("sent"), good, "lines of `status=sent` are not what was told");
    // All that got it got the same.
    const bodies = new Set(STORES.flatMap((store) => deliveredBy(store).map(({ bodySha256 }) => bodySha256)));
    assert.ok(bodies.size <= 1, "stores got different messages");
  }
  for (const [name, store] of stores) {
    // A command may seem to come before a reply if the store gave one too many before.
    const isToBlame = (text: string): boolean => isInStep(plans[name as StoreName]) || text.includes("bare");
    assert.deepEqual(store.violations.filter(isToBlame), [], `violations at ${name}`);
  }
}

const clients = {
  messages: fc.array(messagePlan, { minLength: 1, maxLength: 4 }),
  chunkBytes: fc.constantFrom(undefined, 100, 7),
};

test("whatever stores and clients do, replies stay in step and say the truth", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({ a: storePlan, b: storePlan, c: storePlan }),
      clients.messages,
      clients.chunkBytes,
      async (plans, messages, chunkBytes) => check(await play(plans, messages, chunkBytes, TIMEOUTS), plans),
    ),
    { numRuns: 250, includeErrorInReport: true },
  ),
);

test("with stores that do nothing wrong, every message arrives as it was sent", { timeout: 300_000 }, () => {
  const healthy = fc.record({
    isPipelining: fc.boolean(),
    replyChunkBytes: fc.constantFrom(undefined, 1, 5),
    faults: fc.constant([]),
  });
  return fc.assert(
    fc.asyncProperty(
      fc.record({ a: healthy, b: healthy, c: healthy }),
      clients.messages,
      clients.chunkBytes,
      async (plans, messages, chunkBytes) => {
        const run = await play(plans, messages, chunkBytes, PATIENT);
        check(run, plans);
        for (const [index, outcome] of run.outcomes.entries()) {
          const message = messages[index];
          for (const [at, user] of message?.users.entries() ?? []) {
            const isHoused = (STORES as readonly string[]).includes(homeOf(user));
            assert.equal(isPositive(outcome.rcpt[at]), isHoused);
            if (outcome.isComplete) assert.equal(isPositive(outcome.final[at]), isHoused);
          }
        }
      },
    ),
    { numRuns: 100, includeErrorInReport: true },
  );
});
