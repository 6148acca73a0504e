import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { connectSmtp } from "../support/smtp-client.ts";
import { type Mailshunt, startMaildirStore, startMailshunt } from "./mailshunt.ts";
import { countCopies, newMessage, type TestMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";
import { askAll, connectIdle, queryWithPause } from "./socketmap-clients.ts";

/** As long as Postfix's client keeps an idle connection, and a bit, in ms. Source: dict_sockmap.c. */
const IDLE_MS = 11_000;
const IDLE_CLIENTS = 3000;
const REQUEST = "23:mailbox Ada@Example.com,";
const ANSWER = "4:OK 1,";
const LONG_KEY = `${"k".repeat(5000)}@example.com`;

describe("Postfix asks one socketmap listener for everything", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, mailshunt: Mailshunt;
  let map = "";
  const stores: Record<"old" | "new", string> = { old: "", new: "" };
  /** Begun first, looked at last. */
  let slowPostmap: Promise<unknown>;
  let idleClients: readonly Socket[] = [];
  let idleSinceMs = 0;

  let ports: readonly number[] = [];

  const config = (): string => `
version: 1
listeners:
  - { protocol: socketmap, address: "unix:${postfix.queueFolder}/mailshunt/map", owner: postfix, permissions: "0600" }
  - { protocol: lmtp, address: "unix:${postfix.queueFolder}/mailshunt/lmtp", owner: postfix, permissions: "0600" }
backends:
  old: { lmtp: "127.0.0.1:${ports[0]}" }
  new: { lmtp: "127.0.0.1:${ports[1]}" }
tables:
  users: { type: static, entries: { ada: old, bob: new, "odd user": old, üser: new } }
  alias:
    type: static
    key: { fold: all, recipient_delimiter: "+", try: [address, "@domain"] }
    entries:
      list@example.com: "ada@example.com, bob@example.com"
      nested@example.com: list@example.com
      "@catch.example": ada@example.com
      bob@catch.example: bob@example.com
      empty@example.com: ""
  domain:
    type: static
    key: { fold: all, try: [domain] }
    entries: { example.com: "yes", catch.example: "yes", moving.example: "yes", empty.example: "" }
  mailbox:
    type: static
    key: { fold: all, recipient_delimiter: "+" }
    entries:
      ada@example.com: 1
      bob@example.com: 1
      odd user@example.com: 1
      üser@example.com: 1
      moving@example.com: 1
      gone@example.com: 1
      ada@empty.example: 1
      ${LONG_KEY}: 1
  transport:
    type: static
    key: { fold: all, recipient_delimiter: "+", try: [address, domain] }
    entries:
      example.com: "lmtp:unix:mailshunt/lmtp"
      empty.example: "lmtp:unix:mailshunt/lmtp"
      local.example: "lmtp:unix:mailshunt/lmtp"
      moving@example.com: "retry:4.2.1 Mailbox is moving"
      gone@example.com: "error:5.1.6 Mailbox has moved"
  local: { type: static, key: { fold: all, recipient_delimiter: "+" }, entries: { ada@local.example: 1 } }
  login: { type: static, key: { fold: all, recipient_delimiter: "+" }, entries: { ada@example.com: "ada, root" } }
routing: { key: localpart, recipient_delimiter: "+", tables: [users] }
`;

  before(async () => {
    ports = await findFreePorts(2);
    postfix = await started.add(startPostfix({ isChrooted: true }));
    await mkdir(join(postfix.queueFolder, "mailshunt"));
    const [oldStore, newStore] = await Promise.all([
      started.add(startMaildirStore(ports[0] ?? 0)),
      started.add(startMaildirStore(ports[1] ?? 0)),
      // For SASL, so that smtpd knows who has logged in.
      started.add(startDovecot({ users: [], config: saslConfig(postfix.queueFolder) })),
    ]);
    stores.old = oldStore.folder;
    stores.new = newStore.folder;
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
    map = `socketmap:unix:${postfix.queueFolder}/mailshunt/map`;
    slowPostmap = queryWithPause(postfix, `${map}:mailbox`, ["ada@example.com", "bob@example.com"], IDLE_MS);
    idleClients = await connectIdle(`${postfix.queueFolder}/mailshunt/map`, IDLE_CLIENTS, REQUEST, ANSWER);
    idleSinceMs = performance.now();
    // Relative: the same file in and out of the chroot.
    await postfix.configure({
      mailshunt: "socketmap:unix:mailshunt/map",
      virtual_alias_domains: "",
      virtual_alias_maps: "${mailshunt}:alias",
      virtual_mailbox_domains: "${mailshunt}:domain",
      virtual_mailbox_maps: "${mailshunt}:mailbox",
      transport_maps: "${mailshunt}:transport",
      mydestination: "local.example",
      local_recipient_maps: "${mailshunt}:local",
      smtpd_sender_login_maps: "${mailshunt}:login",
      smtpd_sender_restrictions: "reject_sender_login_mismatch",
      smtpd_sasl_auth_enable: "yes",
      smtpd_sasl_type: "dovecot",
      smtpd_sasl_path: "private/auth",
      smtpd_delay_reject: "no",
      smtpd_recipient_restrictions: "reject_unlisted_recipient",
    });
  });
  after(async () => {
    for (const socket of idleClients) socket.destroy();
    await started.stop();
  });

  const copiesIn = async (store: "old" | "new", user: string, message: TestMessage): Promise<number> =>
    countCopies(await readMaildir(join(stores[store], user, "Maildir/new")), message);

  const deliver = async (to: string, parameters?: string): Promise<TestMessage> => {
    const message = newMessage();
    const envelope = { from: "s@x.example", to: [to], ...(parameters === undefined ? {} : { parameters }) };
    await postfix.send(envelope, message.content);
    await postfix.waitForEmptyQueue();
    return message;
  };

  /** What smtpd(8) says to a recipient. */
  const rcpt = async (to: string, mail = "FROM:<s@x.example>"): Promise<string> => {
    const client = await connectSmtp(postfix.smtpPort);
    try {
      const accepted = await client.command(`MAIL ${mail}`);
      return accepted.startsWith("250") ? await client.command(`RCPT TO:<${to}>`) : accepted;
    } finally {
      client.close();
    }
  };

  const routed: readonly { what: string; to: string; old?: string; new?: string; parameters?: string }[] = [
    { what: "a user", to: "ada@example.com", old: "ada" },
    { what: "mixed case", to: "BoB@Example.COM", new: "bob" },
    { what: "an extension", to: "ada+lists@example.com", old: "ada" },
    { what: "an alias of two", to: "list@example.com", old: "ada", new: "bob" },
    {
      what: "an alias of an alias, in mixed case, with an extension",
      to: "Nested+x@Example.com",
      old: "ada",
      new: "bob",
    },
    { what: "anybody of a domain", to: "whoever@catch.example", old: "ada" },
    { what: "somebody of that domain who is named", to: "bob@catch.example", new: "bob" },
    { what: "a quoted local part", to: '"odd user"@example.com', old: "odd user" },
    { what: "UTF-8", to: "üser@example.com", new: "üser", parameters: "SMTPUTF8" },
    { what: "a local user", to: "Ada+x@local.example", old: "ada" },
    { what: "a domain whose value is empty", to: "ada@empty.example", old: "ada" },
  ];
  for (const { what, to, old, new: young, parameters } of routed)
    test(`mail to ${what} arrives`, async () => {
      const message = await deliver(to, parameters);
      assert.equal(await copiesIn("old", old ?? "ada", message), old === undefined ? 0 : 1);
      assert.equal(await copiesIn("new", young ?? "bob", message), young === undefined ? 0 : 1);
    });

  const refused = [
    { what: "an unknown user", to: "nobody@example.com", reply: /^550 5\.1\.1 .*unknown in virtual mailbox table/ },
    {
      what: "an unknown local user",
      to: "bob@local.example",
      reply: /^550 5\.1\.1 .*unknown in local recipient table/,
    },
    { what: "another domain of a known user", to: "ada@moving.example", reply: /^550 5\.1\.1 / },
    { what: "a mailbox that moves", to: "moving@example.com", reply: /^450 4\.2\.1 .*Mailbox is moving/ },
    { what: "a mailbox that has moved", to: "gone+x@example.com", reply: /^550 5\.1\.6 .*Mailbox has moved/ },
    { what: "an alias without a value", to: "empty@example.com", reply: /^451 4\.3\.[05] / },
  ];
  for (const { what, to, reply } of refused)
    test(`RCPT for ${what} is answered ${reply.source}`, async () => assert.match(await rcpt(to), reply));

  test("only those may send as a user whom smtpd_sender_login_maps names", async () => {
    const sendAs = async (login: string | undefined): Promise<string> => {
      const client = await connectSmtp(postfix.smtpPort);
      try {
        if (login !== undefined) {
          const plain = Buffer.from(`\0${login}\0secret`).toString("base64");
          assert.match(await client.command(`AUTH PLAIN ${plain}`), /^235 /);
        }
        return await client.command("MAIL FROM:<Ada+x@Example.com>");
      } finally {
        client.close();
      }
    };
    assert.match(await sendAs("ada"), /^250 /);
    assert.match(await sendAs("root"), /^250 /);
    assert.match(await sendAs("bob"), /^553 5\.7\.1 .*not owned by user bob/);
    assert.match(await sendAs(undefined), /^553 5\.7\.1 .*not logged in/);
  });

  const queries = [
    { what: "a long key", map: "mailbox", key: LONG_KEY, code: 0, out: "1\n" },
    { what: "an extension", map: "mailbox", key: "Ada+x@EXAMPLE.com", code: 0, out: "1\n" },
    { what: "a blank in the key", map: "mailbox", key: "odd user@example.com", code: 0, out: "1\n" },
    { what: "UTF-8", map: "mailbox", key: "üser@example.com", code: 0, out: "1\n" },
    { what: "an empty value", map: "domain", key: "empty.example", code: 0, out: "\n" },
    { what: "a key that there is not", map: "mailbox", key: "x@example.com", code: 1, out: "" },
    { what: "the wildcard", map: "transport", key: "*", code: 1, out: "" },
  ];
  for (const { what, map: name, key, code, out } of queries)
    test(`postmap -q: ${what}`, async () => {
      const ran = await postfix.postmap(`${map}:${name}`, key);
      assert.deepEqual({ ...ran, stderr: "" }, { code, stdout: out, stderr: "" });
    });

  test("postmap -q: a table that there is not is an error and no miss", async () => {
    const { code, stdout, stderr } = await postfix.postmap(`${map}:boxes`, "x@example.com");
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.match(stderr, /no table is named boxes here/);
  });

  test("the same tables over TCP after a reload, on a listener of other names", async () => {
    const [port = 0] = await findFreePorts(1);
    const text = config().replace(
      "listeners:",
      `listeners:\n  - { protocol: socketmap, address: "127.0.0.1:${port}", tables: { m: mailbox } }`,
    );
    await mailshunt.reload(text);
    const named = (name: string): string => `socketmap:inet:127.0.0.1:${port}:${name}`;
    assert.equal((await postfix.postmap(named("m"), "ada@example.com")).stdout, "1\n");
    const other = await postfix.postmap(named("mailbox"), "ada@example.com");
    assert.match(other.stderr, /no table is named mailbox here/);
  });

  test("a client that asks again after more than 10 s finds its connection open", async () => {
    assert.deepEqual(await slowPostmap, { code: 0, signal: null, out: "ada@example.com\t1\nbob@example.com\t1\n" });
  });

  test(`${IDLE_CLIENTS} clients that were idle for more than 10 s are served, all at once`, async () => {
    const leftMs = IDLE_MS - (performance.now() - idleSinceMs);
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
    await askAll(idleClients, REQUEST, ANSWER);
  });

  test("nothing went wrong meanwhile that nobody meant to", async () => {
    const queue = await postfix.queue();
    assert.deepEqual(queue, []);
    assert.deepEqual(
      postfix.deliveries().filter(({ status }) => status !== "sent"),
      [],
    );
    assert.doesNotMatch(mailshunt.log.text(), /disconnected|a bug/);
  });
});

const saslConfig = (queueFolder: string): string => `
passdb {
  driver = static
  args = password=secret
}
service auth {
  unix_listener ${queueFolder}/private/auth {
    mode = 0600
    user = postfix
  }
}
`;

async function readMaildir(path: string): Promise<Buffer[]> {
  const names = await readdir(path).catch(() => []);
  return Promise.all(names.map((name) => readFile(join(path, name))));
}
