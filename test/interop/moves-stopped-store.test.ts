import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";
import { until } from "../support/until.ts";
import { newMessage, type TestMessage } from "./messages.ts";
import {
  account,
  changedBehind,
  deliveriesGoneBack,
  describeTimes,
  hasMoved,
  showMoves,
  timeOf,
  uncertainFor,
  wrongLogins,
} from "./moves-account.ts";
import { fillMailbox } from "./moves-stores.ts";
import { type Sent, startReading, startSending } from "./moves-traffic.ts";
import { type MoveWorld, startMoveWorld, whyNoMoves } from "./moves-world.ts";

const USERS = 6;
const PARALLEL = 6;
const MESSAGES_BEFORE = 4;
const PER_SECOND = 20;
/** Deliveries that come to their final dot at once, each on a connection of its own. */
const OPEN = 24;
const FINAL_TIMEOUT = "2s";
/** How long after `FINAL_TIMEOUT` the old store still stands still, in ms: a move would be over by then. */
const STALLS_MS = 10_000;
/** More than that, and what the old store then needs for what it had taken. */
const SETTLE = "16s";
/** Ends a run that has come to a stand. */
const PATIENCE_MS = 120_000;

const users = Array.from({ length: USERS }, (_, n) => `u${n}@example.com`);

/** A delivery of a client that tries until it is taken, as Postfix does. */
interface Open {
  readonly client: LmtpClient;
  readonly user: string;
  readonly ident: string;
  readonly message: TestMessage;
}

describe("the old store's LMTP stands still after final dots, while users move", { skip: await whyNoMoves() }, () => {
  let world: MoveWorld;
  before(async () => {
    world = await startMoveWorld({
      bystanders: [],
      parallel: PARALLEL,
      finalTimeout: FINAL_TIMEOUT,
      settle: SETTLE,
    });
  });
  after(() => world?.stop());

  /** Up to 354. */
  const begin = async (user: string, ident: string, message: TestMessage): Promise<Open> => {
    const address = { kind: "tcp", host: "127.0.0.1", port: world.lmtpPort } as const;
    const client = await connectLmtp(address, { patienceMs: PATIENCE_MS });
    await client.lhlo();
    for (const line of [`XFORWARD IDENT=${ident}`, "MAIL FROM:<s@x.example>", `RCPT TO:<${user}>`, "DATA"])
      assert.match(await client.command(line), /^(250|354) /, line);
    return { client, user, ident, message };
  };
  /** @returns the store's word */
  const finish = async ({ client, message }: Open): Promise<string> => {
    await client.send(`${message.content}.\r\n`);
    return client.reply();
  };
  const tryAgain = async ({ user, ident, message }: Open): Promise<true | undefined> => {
    const again = await begin(user, ident, message).catch(() => undefined);
    if (again === undefined) return undefined;
    using _ = again.client;
    return (await finish(again)).startsWith("250 ") ? true : undefined;
  };

  test("nothing is lost or misplaced, and only what the log calls uncertain is there twice", async (t) => {
    const { postfix, mailshunt, old, young, imapPort } = world;
    const seeded = new Map<string, readonly string[]>();
    for (const user of users) seeded.set(user, await fillMailbox(old.imapPort, user, MESSAGES_BEFORE));
    const sender = await startSending(postfix.smtpPort, PER_SECOND, (n) => [users[n % USERS] ?? ""]);
    const readers = startReading(imapPort, users);
    // A test that fails must not leave them to the next.
    t.after(() => Promise.all([sender.stop(), readers.stop()]));
    const opened = await Promise.all(
      Array.from({ length: OPEN }, (_, n) => begin(users[n % USERS] ?? "", `OPEN${n}`, newMessage(`open ${n}`, LARGE))),
    );

    const planned = await mailshunt.ask("move", "start", "--detach", "--to", "new", ...users);
    assert.equal(planned.code, 0, planned.stderr);
    await until("a drain waits for them", async () =>
      (await showMoves(mailshunt)).some(({ phase }) => phase === "hold") ? true : undefined,
    );
    const finals = opened.map(finish);
    // Others are in the midst of it then, or have their dot before them.
    await Promise.any(finals);
    await old.pauseLmtp();
    const replies = await Promise.all(finals);
    await delay(STALLS_MS);
    await old.resumeLmtp();
    const unanswered = opened.filter((_, n) => !replies[n]?.startsWith("250 "));
    assert.deepEqual(
      replies.filter((reply) => !/^(250|451) /.test(reply)),
      [],
    );
    for (const { client } of opened) client.reset();
    await Promise.all(unanswered.map((open) => until("it is taken", () => tryAgain(open), { withinMs: PATIENCE_MS })));
    const moves = await until(
      "every move has ended",
      async () => {
        const shown = await showMoves(mailshunt);
        return shown.every(({ phase }) => ENDED.has(phase)) ? shown : undefined;
      },
      { withinMs: PATIENCE_MS, describe: () => mailshunt.log.text().slice(-3000) },
    );
    const throughPostfix = await sender.stop();
    await readers.stop();
    await postfix.waitForEmptyQueue({ withinMs: PATIENCE_MS });

    const whatFailed = moves.filter((move) => !hasMoved(move)).map(({ phase, reason }) => `${phase}: ${reason}`);
    assert.deepEqual(whatFailed, []);
    assert.equal(moves.length, USERS);
    const direct: readonly Sent[] = opened.map(({ user, ident, message }) => ({
      id: message.id,
      queueId: ident,
      to: [user],
    }));
    const sent = [...throughPostfix, ...direct];
    const homes = new Map(users.map((name) => [name, { home: young, other: old }]));
    const { counted, repeated, ...wrong } = await account({ homes, sent, seeded, read: readers.read });
    assert.deepEqual(wrong, { lost: [], misplaced: [], unread: [] });
    const uncertain = uncertainFor(mailshunt, postfix);
    t.diagnostic(
      `${sent.length} messages, ${counted} counted; of ${OPEN} open deliveries ${unanswered.length} had no answer; ` +
        `${uncertain.size} uncertain, ${repeated.length} of them stored twice; ${describeTimes(moves)}`,
    );
    assert.deepEqual(
      repeated.filter((delivery) => !uncertain.has(delivery)),
      [],
      "repeated, and the log does not say that this is uncertain",
    );
    assert.deepEqual(
      postfix.deliveries().filter(({ status }) => status !== "sent" && status !== "deferred"),
      [],
      "bounced",
    );
    assert.deepEqual(deliveriesGoneBack(mailshunt), []);
    const switchedMs = new Map(moves.map((move) => [move.user, timeOf(move, "switched") ?? Number.NaN]));
    assert.deepEqual(wrongLogins(readers.logins, switchedMs), []);
    assert.deepEqual(await changedBehind(old, switchedMs), []);
    // The test tests something: the store had dots that it did not answer, and has kept some of those messages.
    for (const { ident, user } of unanswered) assert.ok(uncertain.has(`${ident} ${user}`), ident);
    assert.ok(unanswered.length > 0 && repeated.length > 0);
  });
});

/** Body of an open delivery: the old store has work for more than an instant. */
const LARGE = "All of it, and more.\r\n".repeat(150_000);
const ENDED: ReadonlySet<string> = new Set(["done", "rolled-back", "failed"]);
