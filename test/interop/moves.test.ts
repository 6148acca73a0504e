import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  account,
  changedBehind,
  deliveriesGoneBack,
  describeTimes,
  hasMoved,
  showMoves,
  timeOf,
  wrongLogins,
} from "./moves-account.ts";
import { fillMailbox } from "./moves-stores.ts";
import { startReading, startSending } from "./moves-traffic.ts";
import { type MoveWorld, startMoveWorld, whyNoMoves } from "./moves-world.ts";

const isLong = process.env["MAILSHUNT_LONG_TESTS"] === "1";
const USERS = isLong ? 100 : 12;
const PARALLEL = 6;
const MESSAGES_BEFORE = 8;
const PER_SECOND = 20;
/** Ends a run that has come to a stand. */
const PATIENCE_MS = isLong ? 600_000 : 60_000;

const users = Array.from({ length: USERS }, (_, n) => `u${n}@example.com`);
const BYSTANDERS = ["cy0@example.com", "cy1@example.com"];

describe("users move between real stores while mail comes and clients read", { skip: await whyNoMoves() }, () => {
  let world: MoveWorld;
  before(async () => {
    world = await startMoveWorld({ bystanders: BYSTANDERS, parallel: PARALLEL, workers: 2 });
  });
  after(() => world?.stop());

  test("nothing is lost, repeated, misplaced or deferred, and logins follow", async (t) => {
    const { postfix, mailshunt, old, young, cyrus, imapPort } = world;
    const seeded = new Map<string, readonly string[]>();
    for (const user of users) seeded.set(user, await fillMailbox(old.imapPort, user, MESSAGES_BEFORE));
    const everybody = [...users, ...BYSTANDERS];
    const pickOne = (n: number): readonly string[] => [everybody[n % everybody.length] ?? ""];
    const sender = await startSending(postfix.smtpPort, PER_SECOND, pickOne);
    const readers = startReading(imapPort, users);
    // A test that fails must not leave them to the next.
    t.after(() => Promise.all([sender.stop(), readers.stop()]));

    const moved = await mailshunt.ask("move", "start", "--to", "new", ...users);
    const moves = await showMoves(mailshunt);
    const describeFailed = (): string =>
      JSON.stringify(
        moves.filter((move) => !hasMoved(move)),
        undefined,
        1,
      );
    assert.equal(moved.code, 0, `${moved.stdout}${moved.stderr}${describeFailed()}`);
    assert.equal(moves.filter(hasMoved).length, USERS);
    const sent = await sender.stop();
    await readers.stop();
    await postfix.waitForEmptyQueue({ withinMs: PATIENCE_MS });

    t.diagnostic(`${USERS} users, ${sent.length} messages, ${readers.logins.length} logins; ${describeTimes(moves)}`);
    const homes = new Map(users.map((user) => [user, { home: young, other: old }]));
    const { counted, ...wrong } = await account({ homes, sent, seeded, read: readers.read });
    assert.deepEqual(wrong, { lost: [], repeated: [], misplaced: [], unread: [] });
    const toMovers = sent.filter(({ to }) => !to.some((user) => BYSTANDERS.includes(user)));
    assert.equal(counted, toMovers.length + USERS * MESSAGES_BEFORE);
    for (const user of BYSTANDERS) {
      const stored = (await cyrus.headers(user, "MESSAGE-ID")).map((id) => id.replace(/^<|>$/g, ""));
      assert.deepEqual(stored.toSorted(), sent.flatMap(({ id, to }) => (to.includes(user) ? [id] : [])).toSorted());
    }
    for (const user of users)
      for (const folder of ["Archive", "Archive.2025"]) assert.equal((await young.contents(user, folder)).length, 1);

    const notSent = postfix.deliveries().filter(({ status }) => status !== "sent");
    assert.deepEqual(notSent, [], "with parking, nothing is even deferred");
    assert.deepEqual(deliveriesGoneBack(mailshunt), []);
    // The test tests something: mail came and users logged in on both sides of the switch.
    const backends = new Set(mailshunt.deliveries().map(({ backend }) => backend));
    assert.deepEqual([...backends].toSorted(), ["cyrus", "new", "old"]);
    const switchedMs = new Map(moves.map((move) => [move.user, timeOf(move, "switched") ?? Number.NaN]));
    assert.deepEqual(wrongLogins(readers.logins, switchedMs), []);
    assert.deepEqual(await changedBehind(old, switchedMs), []);
    const answers = Map.groupBy(readers.logins, ({ store }) => store);
    t.diagnostic([...answers].map(([answer, logins]) => `${logins.length} x ${answer}`).join("; "));
    assert.ok(answers.has("old") && answers.has("new"));
    const BEING_MOVED = "NO [UNAVAILABLE] Your mailbox is being moved, try again in a few minutes";
    assert.deepEqual(
      [...answers.keys()].filter((answer) => !["old", "new", BEING_MOVED].includes(answer)),
      [],
    );
  });
});
