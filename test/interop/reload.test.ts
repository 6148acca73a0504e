import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { connectSmtp } from "../support/smtp-client.ts";
import { until } from "../support/until.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { newMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

const MESSAGES = 2000;
const RELOADS = 20;
const SMTP_CONNECTIONS = 16;
const USERS_PER_STORE = 8;
/** Ends a run that has come to a stand. */
const PATIENCE_MS = 120_000;

const numbered = (name: string): string[] =>
  Array.from({ length: USERS_PER_STORE }, (_, n) => `${name}${n}@example.com`);
const CYRUS_USERS = numbered("cy");
const DOVECOT_USERS = numbered("do");

interface Sent {
  readonly id: string;
  readonly queueId: string;
  readonly to: readonly [cyrus: string, dovecot: string];
}

describe("under load", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus, mailshunt: Mailshunt;

  /** Each round differs in users and in how Dovecot is reached, every other one in the options of Cyrus. */
  const configure =
    (round: number) =>
    (folder: string): string =>
      `
version: 1
listeners:
  - { protocol: lmtp, address: "unix:${folder}/lmtp", owner: postfix, group: postfix, permissions: "0660" }
backends:
  old: { lmtp: "unix:${cyrus.lmtpSocket}", max_connections: ${15 + (Math.floor(round / 2) % 3)} }
  new: { lmtp: "${round % 2 === 0 ? `127.0.0.1:${dovecot.lmtpPort}` : `unix:${dovecot.lmtpSocket}`}" }
tables:
  users:
    type: static
    entries:
      round${round}: old
${CYRUS_USERS.map((user) => `      ${user}: old\n`).join("")}
${DOVECOT_USERS.map((user) => `      ${user}: new\n`).join("")}
routing: { key: address, tables: [users] }
`;

  before(async () => {
    const main = {
      virtual_mailbox_domains: "example.com",
      lmtp_send_xforward_command: "yes",
      // The load is the point: no pause for a destination that has just failed.
      default_destination_concurrency_failed_cohort_limit: "100",
    };
    [postfix, dovecot, cyrus] = await Promise.all([
      started.add(startPostfix({ main })),
      started.add(startDovecot({ users: DOVECOT_USERS })),
      // A second copy must show: by default Cyrus drops it.
      started.add(startCyrus({ users: CYRUS_USERS, config: "duplicatesuppression: no\n" })),
    ]);
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: configure(0) }));
    await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
  });
  after(() => started.stop());

  test("twenty reloads and stores killed and shut down lose nothing and repeat only what is uncertain", async (t) => {
    const countSent = countIn(mailshunt.log.text, / status=sent /g);
    const reached = (share: number): Promise<true> => {
      const wanted = Math.floor(2 * MESSAGES * share);
      const describe = (): string => `${countSent()} of ${wanted}\n${mailshunt.log.text().slice(-2000)}`;
      const look = (): true | undefined => (countSent() >= wanted ? true : undefined);
      return until(`${wanted} deliveries`, look, { withinMs: PATIENCE_MS, describe });
    };
    const reloadAgainAndAgain = async (): Promise<void> => {
      for (let round = 1; round <= RELOADS; round += 1) {
        await reached((round - 0.5) / RELOADS);
        await mailshunt.reload(configure(round)(mailshunt.folder), round % 2 === 0 ? "SIGHUP" : "SIGUSR1");
      }
    };
    /** Some of them hit deliveries between the final dot and its reply. */
    const ends = [
      { backend: "new", end: () => dovecot.kill(), startAgain: () => dovecot.start() },
      { backend: "new", end: () => dovecot.shutDown(), startAgain: () => dovecot.start() },
      { backend: "old", end: () => cyrus.kill(), startAgain: () => cyrus.start() },
      { backend: "new", end: () => dovecot.shutDown(), startAgain: () => dovecot.start() },
      { backend: "new", end: () => dovecot.kill(), startAgain: () => dovecot.start() },
    ];
    const killAndRestart = async (): Promise<void> => {
      for (const [index, { backend, end, startAgain }] of ends.entries()) {
        await reached((index + 1) / (ends.length + 1));
        const from = mailshunt.log.text().length;
        await end();
        await mailshunt.log.waitFor(new RegExp(` status=(?:deferred|uncertain) .* backend=${backend}`), { from });
        await startAgain();
      }
    };
    const [sent] = await Promise.all([sendAll(postfix.smtpPort), reloadAgainAndAgain(), killAndRestart()]);
    assert.equal(sent.length, MESSAGES);
    await postfix.waitForEmptyQueue({ withinMs: PATIENCE_MS });

    await reached(1);
    // What a script must wait for before its final sync.
    for (let round = 1; round <= RELOADS; round += 1)
      await mailshunt.log.waitFor(new RegExp(`reload ${round}: no delivery admitted before it is under way any more`));
    const deliveries = postfix.deliveries();
    assert.deepEqual(
      deliveries.filter(({ status }) => status === "bounced"),
      [],
    );
    const uncertain = new Set(
      mailshunt
        .deliveries()
        .filter(({ status }) => status === "uncertain")
        .map(({ ident, to }) => `${ident} ${to}`),
    );
    const copies = await countCopiesByUser(cyrus, dovecot);
    const lost: string[] = [];
    const repeated: string[] = [];
    for (const { id, queueId, to } of sent)
      for (const user of to) {
        const count = copies.get(`${user} ${id}`) ?? 0;
        if (count === 0) lost.push(`${queueId} ${user}`);
        if (count > 1) repeated.push(`${queueId} ${user}`);
      }
    assert.deepEqual(lost, [], "lost");
    assert.deepEqual(
      repeated.filter((delivery) => !uncertain.has(delivery)),
      [],
      "repeated and not logged as uncertain",
    );
    t.diagnostic(`${uncertain.size} deliveries uncertain, ${repeated.length} of them stored twice`);
    // Nothing is ever stored that was not sent.
    assert.equal(copies.size, 2 * MESSAGES);
    // A reload refuses nobody.
    assert.doesNotMatch(mailshunt.log.text(), /451 4\.3\.2 backend/);
    // Killing one store is no reason to break off with Postfix.
    assert.doesNotMatch(postfix.log.text(), /lost connection with [^ ]*\/lmtp\]|timed out/);
  });
});

/** Sends all messages over a few connections at once, each to one user of either store. */
async function sendAll(smtpPort: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  const sendShare = async (connection: number): Promise<void> => {
    const client = await connectSmtp(smtpPort);
    for (let n = connection; n < MESSAGES; n += SMTP_CONNECTIONS) {
      const to = [CYRUS_USERS[n % USERS_PER_STORE] ?? "", DOVECOT_USERS[(n * 3) % USERS_PER_STORE] ?? ""] as const;
      const message = newMessage(`number ${n}`, "All of it.\r\n".repeat(1 + (n % 200)));
      const queueId = await client.send({ from: "s@x.example", to }, Buffer.from(message.content));
      sent.push({ id: message.id, queueId, to });
    }
    client.close();
  };
  await Promise.all(Array.from({ length: SMTP_CONNECTIONS }, (_, connection) => sendShare(connection)));
  return sent;
}

/** How often each mailbox holds each Message-ID, by `user id`. */
async function countCopiesByUser(cyrus: Cyrus, dovecot: Dovecot): Promise<Map<string, number>> {
  const copies = new Map<string, number>();
  const count = (user: string, id: string): void =>
    void copies.set(`${user} ${id}`, (copies.get(`${user} ${id}`) ?? 0) + 1);
  for (const user of CYRUS_USERS)
    for (const id of await cyrus.headers(user, "MESSAGE-ID")) count(user, id.replace(/^<|>$/g, ""));
  for (const user of DOVECOT_USERS)
    for (const message of await dovecot.messages(user))
      count(user, /^Message-ID: <(.*)>$/m.exec(message.toString("latin1"))?.[1] ?? "none");
  return copies;
}

/** Counts matches in a text that only grows, looking at each part once. */
function countIn(text: () => string, pattern: RegExp): () => number {
  let seen = 0;
  let count = 0;
  return () => {
    const now = text();
    const end = now.lastIndexOf("\n") + 1;
    count += now.slice(seen, Math.max(seen, end)).match(pattern)?.length ?? 0;
    seen = Math.max(seen, end);
    return count;
  };
}
