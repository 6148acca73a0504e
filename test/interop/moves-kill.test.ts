import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../support/until.ts";
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
import { startReading, startSending } from "./moves-traffic.ts";
import { type MoveWorld, startMoveWorld, whyNoMoves } from "./moves-world.ts";

const isLong = process.env["MAILSHUNT_LONG_TESTS"] === "1";
const ROUNDS = Number(process.env["MAILSHUNT_KILLS"] ?? (isLong ? 10 : 1));
const USERS = 10;
const PARALLEL = 6;
const MESSAGES_BEFORE = 4;
const PER_SECOND = 20;
/** In which the daemon is killed, counted from the start of the moves: they take about as long. */
const KILL_WITHIN_MS = 6_000;
/** Ends a run that has come to a stand. */
const PATIENCE_MS = isLong ? 600_000 : 120_000;

const usersOf = (round: number): readonly string[] =>
  Array.from({ length: USERS }, (_, n) => `u${round}-${n}@example.com`);

describe("the daemon is killed while users move", { skip: await whyNoMoves() }, () => {
  let world: MoveWorld;
  before(async () => {
    world = await startMoveWorld({ bystanders: [], parallel: PARALLEL });
  });
  after(() => world?.stop());

  for (let round = 0; round < ROUNDS; round += 1)
    test(`round ${round}: nothing is lost or misplaced, and each move ends`, async (t) => {
      const { postfix, mailshunt, old, young, imapPort } = world;
      const killAfterMs = Number(process.env["MAILSHUNT_KILL_AFTER_MS"] ?? randomInt(KILL_WITHIN_MS));
      t.diagnostic(`killed ${killAfterMs} ms after the start: MAILSHUNT_KILL_AFTER_MS=${killAfterMs}`);
      const users = usersOf(round);
      const seeded = new Map<string, readonly string[]>();
      for (const user of users) seeded.set(user, await fillMailbox(old.imapPort, user, MESSAGES_BEFORE));
      const user = (n: number): string => users[n % USERS] ?? "";
      // Every fourth message is for two.
      const pick = (n: number): readonly string[] => (n % 4 === 0 ? [user(n * 3), user(n * 3 + 1)] : [user(n * 3)]);
      const sender = await startSending(postfix.smtpPort, PER_SECOND, pick);
      const readers = startReading(imapPort, users);
      // A test that fails must not leave them to the next.
      t.after(() => Promise.all([sender.stop(), readers.stop()]));
      const showOwn = async (): ReturnType<typeof showMoves> =>
        (await showMoves(mailshunt)).filter((move) => users.includes(move.user));

      const planned = await mailshunt.ask("move", "start", "--detach", "--to", "new", ...users);
      assert.equal(planned.code, 0, planned.stderr);
      await delay(killAfterMs);
      await mailshunt.kill();
      await mailshunt.startAgain();
      let shown: Awaited<ReturnType<typeof showOwn>> = [];
      const moves = await until(
        "every move has ended",
        async () => {
          shown = await showOwn();
          return shown.every(({ phase }) => ENDED.has(phase)) ? shown : undefined;
        },
        {
          withinMs: PATIENCE_MS,
          describe: () =>
            JSON.stringify(shown.filter(({ phase }) => !ENDED.has(phase))) + mailshunt.log.text().slice(-3000),
        },
      );
      const sent = await sender.stop();
      await readers.stop();
      await postfix.waitForEmptyQueue({ withinMs: PATIENCE_MS });

      const ended = [...Map.groupBy(moves, ({ phase }) => phase)].map(([phase, those]) => `${those.length} ${phase}`);
      t.diagnostic(`${ended.join(", ")}; ${sent.length} messages, ${readers.logins.length} logins`);
      t.diagnostic(describeTimes(moves.filter(hasMoved)));
      assert.equal(moves.length, USERS);
      for (const { phase, reason = "", log } of moves) {
        if (phase === "done" || reason.includes("daemon ended between the lock and the switch")) continue;
        assert.fail(`${phase}: ${reason}\n${await readFile(log, "latin1")}`);
      }
      const isDone = new Set(moves.filter(hasMoved).map((move) => move.user));
      const homes = new Map(
        users.map((name) => [name, isDone.has(name) ? { home: young, other: old } : { home: old, other: young }]),
      );
      const { counted, repeated, ...wrong } = await account({ homes, sent, seeded, read: readers.read });
      assert.deepEqual(wrong, { lost: [], misplaced: [], unread: [] });
      const uncertain = uncertainFor(mailshunt, postfix);
      assert.deepEqual(
        repeated.filter((delivery) => !uncertain.has(delivery)),
        [],
        "repeated, and no log says that this is uncertain",
      );
      t.diagnostic(
        `${counted} counted; ${uncertain.size} deliveries uncertain so far, ${repeated.length} stored twice`,
      );

      assert.deepEqual(
        postfix.deliveries().filter(({ status }) => status !== "sent" && status !== "deferred"),
        [],
        "bounced",
      );
      assert.deepEqual(deliveriesGoneBack(mailshunt), []);
      const switchedMs = new Map(
        moves.map((move) => [move.user, timeOf(move, "switched") ?? Number.POSITIVE_INFINITY]),
      );
      assert.deepEqual(wrongLogins(readers.logins, switchedMs), []);
      assert.deepEqual(await changedBehind(old, switchedMs), []);
    });
});

const ENDED: ReadonlySet<string> = new Set(["done", "rolled-back", "failed"]);
