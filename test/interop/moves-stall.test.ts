import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";
import { findFreePorts, makeSearchableFolder, removeFolder } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { whyNoDovecotImap } from "./dovecot-imap.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { type ShownMove, showMoves } from "./moves-account.ts";
import { type LateStore, startLateStore } from "./moves-late-store.ts";
import { MASTER, type MoveStore, startMoveStore } from "./moves-stores.ts";
import { newMessage } from "./messages.ts";
import { createStarted } from "./servers.ts";

/** More than one test waits for by itself, and far less than `hold.park`. */
const PATIENCE_MS = 30_000;
const ENDED: ReadonlySet<string> = new Set(["done", "rehearsed", "rolled-back", "failed"]);

describe("a move begins while a delivery is open", { skip: await whyNoDovecotImap() }, () => {
  const started = createStarted();
  let folder = "";
  let lmtpPort = 0;
  let old: MoveStore, young: MoveStore, late: LateStore, mailshunt: Mailshunt;

  const config = (home: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "127.0.0.1:${lmtpPort}" }
  - { protocol: admin, address: "unix:${home}/admin" }
directory: { store: "sqlite:${home}/directory.db" }
backends:
  old:
    lmtp: "127.0.0.1:${late.port}"
    imap: { address: "127.0.0.1:${old.imapPort}", master_user: ${MASTER.user}, password: ${MASTER.password} }
  new:
    lmtp: "127.0.0.1:${young.lmtpPort}"
    imap: { address: "127.0.0.1:${young.imapPort}", master_user: ${MASTER.user}, password: ${MASTER.password} }
routing: { key: address, fallback: old }
hold: { park: 120s }
# Longer than a drain may take: what is uncertain ends it.
drain: { grace: 5s, timeout: 10s, settle: 11s }
moves:
  folder: ${home}/moves
  lock: { grace: 0s }
  presets:
    to-new: { type: doveadm, config: ${young.configPath}, kick_config: ${old.configPath} }
`;

  before(async () => {
    folder = await makeSearchableFolder("stall");
    [old, young] = await Promise.all([
      started.add(startMoveStore("old", folder)),
      started.add(startMoveStore("new", folder)),
    ]);
    late = await startLateStore(old.lmtpPort);
    await started.add(Promise.resolve({ stop: () => late.close() }));
    [lmtpPort = 0] = await findFreePorts(1);
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
  });
  after(async () => {
    await started.stop();
    await removeFolder(folder);
  });

  const connectClient = async (): Promise<LmtpClient> => {
    const address = { kind: "tcp", host: "127.0.0.1", port: lmtpPort } as const;
    const client = await connectLmtp(address, { patienceMs: PATIENCE_MS });
    await client.lhlo();
    return client;
  };
  /** MAIL and RCPT, and their replies. */
  const begin = async (...users: readonly string[]): Promise<LmtpClient> => {
    const client = await connectClient();
    await client.send("MAIL FROM:<s@x.example>\r\n");
    await client.expect("250 ");
    for (const user of users) {
      await client.send(`RCPT TO:<${user}>\r\n`);
      await client.expect("250 ");
    }
    return client;
  };
  const startMove = async (...users: readonly string[]): Promise<void> => {
    const { code, stderr } = await mailshunt.ask("move", "start", "--detach", "--to", "new", ...users);
    assert.equal(code, 0, stderr);
  };
  /** The last move of a user, once it has come to one of the phases. */
  const waitForPhase = (user: string, isThere: (phase: string) => boolean): Promise<ShownMove> => {
    let last: ShownMove | undefined;
    const look = async (): Promise<ShownMove | undefined> => {
      last = (await showMoves(mailshunt)).findLast((move) => move.user === user);
      return last !== undefined && (isThere(last.phase) || ENDED.has(last.phase)) ? last : undefined;
    };
    return until(`the move of ${user} comes to a phase`, look, { describe: () => JSON.stringify(last, undefined, 1) });
  };
  const waitForEnd = (user: string): Promise<ShownMove> => waitForPhase(user, (phase) => ENDED.has(phase));
  const idsIn = async (store: MoveStore, user: string): Promise<readonly string[]> =>
    (await store.contents(user)).map(({ id }) => id).toSorted();

  test("it waits for a store that is slow after the final dot, and moves what that stored", async () => {
    const user = "slow@example.com";
    const [first, second] = [newMessage(), newMessage()];
    late.beLateFor(user);
    using client = await begin(user);
    await client.send("DATA\r\n");
    await client.expect("354 ");
    await client.send(`${first.content}.\r\n`);
    await late.waitForDot();
    await startMove(user);
    assert.equal((await waitForPhase(user, (phase) => phase === "hold")).phase, "hold");
    using parked = await connectClient();
    await parked.send(`MAIL FROM:<s@x.example>\r\nRCPT TO:<${user}>\r\nDATA\r\n`);
    await parked.expect("250 ");
    assert.equal(client.unread() + parked.unread(), "");

    late.catchUp();
    await client.expect("250 ");
    const { phase, journal } = await waitForEnd(user);
    assert.equal(phase, "done");
    assert.match(journal.find(({ what }) => what === "drained")?.text ?? "", /: 1 deliveries were waited for, 0 cut/);
    await parked.expect("250 ", "354 ");
    await parked.send(`${second.content}.\r\n`);
    await parked.expect("250 ");
    assert.deepEqual(await idsIn(young, user), [first.id, second.id].toSorted());
    assert.deepEqual(await idsIn(old, user), [first.id]);
  });

  test("it goes back when a store breaks off after the final dot, and what that stores later is not left behind", async () => {
    const user = "lost@example.com";
    const [first, second] = [newMessage(), newMessage()];
    late.beLateFor(user);
    using client = await begin(user);
    await client.send("DATA\r\n");
    await client.expect("354 ");
    await client.send(`${first.content}.\r\n`);
    await late.waitForDot();
    await startMove(user);
    assert.equal((await waitForPhase(user, (phase) => phase === "hold")).phase, "hold");

    late.breakOff();
    await client.expect("451 ");
    const wentBack = await waitForEnd(user);
    assert.equal(wentBack.phase, "rolled-back");
    assert.match(wentBack.reason ?? "", /uncertain/);
    assert.ok(mailshunt.deliveries().some(({ to, status }) => to === user && status === "uncertain"));
    late.catchUp();
    const hasIt = async (): Promise<true | undefined> =>
      (await idsIn(old, user)).includes(first.id) ? true : undefined;
    await until("the store has it after all", hasIt, { withinMs: 8_000, describe: () => old.log.text().slice(-2000) });
    using next = await begin(user);
    await next.send(`DATA\r\n`);
    await next.expect("354 ");
    await next.send(`${second.content}.\r\n`);
    await next.expect("250 ");
    assert.deepEqual(await idsIn(old, user), [first.id, second.id].toSorted());

    assert.equal((await mailshunt.ask("move", "retry", wentBack.id)).code, 0);
    assert.equal((await waitForEnd(user)).phase, "done");
    assert.deepEqual(await idsIn(young, user), [first.id, second.id].toSorted());
  });

  test("a rehearsal copies and compares while a delivery is open, and waits for nobody", async () => {
    const user = "calm@example.com";
    const [first, second] = [newMessage(), newMessage()];
    using before = await begin(user);
    await before.send("DATA\r\n");
    await before.expect("354 ");
    await before.send(`${first.content}.\r\n`);
    await before.expect("250 ");
    using client = await begin(user);
    await client.send("DATA\r\n");
    await client.expect("354 ");
    const ran = await mailshunt.ask("move", "start", "--to", "new", "--rehearse", user);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /\n1 of 1 rehearsed, 0 to go, 0 failed\n$/);
    const [id = ""] = ran.stdout.split(" ");
    const shown = await mailshunt.ask("move", "show", id);
    assert.ok(shown.stdout.startsWith(`${id}: ${user}, old → new, a rehearsal: rehearsed\n`), shown.stdout);
    assert.match(shown.stdout, /1 messages in 1 folders compared: no difference\n.*; the rehearsal is over\n$/);
    assert.deepEqual(await idsIn(young, user), [first.id]);

    await client.send(`${second.content}.\r\n`);
    await client.expect("250 ");
    assert.deepEqual(await idsIn(old, user), [first.id, second.id].toSorted());
    await startMove(user);
    assert.equal((await waitForEnd(user)).phase, "done");
    assert.deepEqual(await idsIn(young, user), [first.id, second.id].toSorted());
  });

  test("it cuts a client that is slow to come to its final dot", async () => {
    const user = "sleepy@example.com";
    const { content } = newMessage();
    using client = await begin(user);
    await client.send("DATA\r\n");
    await client.expect("354 ");
    await client.send(content);
    await startMove(user);
    const { phase, journal } = await waitForEnd(user);
    assert.equal(phase, "done");
    assert.match(journal.find(({ what }) => what === "drained")?.text ?? "", /: 1 deliveries were waited for, 1 cut/);
    await client.send(".\r\n");
    await client.expect("451 ");
    assert.deepEqual(await idsIn(old, user), []);
    assert.deepEqual(await idsIn(young, user), []);
  });

  test("two transactions that would wait for each other's users are told so at once", async () => {
    const [ann, bob] = ["ann@example.com", "bob@example.com"];
    using left = await begin(ann);
    using right = await begin(bob);
    await startMove(ann, bob);
    await Promise.all([ann, bob].map((user) => waitForPhase(user, (phase) => phase === "hold")));
    // Both could still go on until `drain.grace` has passed.
    const startMs = performance.now();
    await left.send(`RCPT TO:<${bob}>\r\n`);
    await right.send(`RCPT TO:<${ann}>\r\n`);
    await left.expect("450 ");
    await right.expect("450 ");
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 1_000, `${tookMs} ms`);
    assert.equal((await waitForEnd(ann)).phase, "done");
    assert.equal((await waitForEnd(bob)).phase, "done");
  });
});
