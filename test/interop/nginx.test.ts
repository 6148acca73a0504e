import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { createAuthHttpServer } from "../../src/servers/auth-http/auth-http-server.ts";
import type { Dovecot } from "../support/dovecot.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { NGINX_PACKAGES, type Nginx, startNginx } from "../support/nginx.ts";
import { findFreePorts, makeSearchableFolder, removeFolder } from "../support/processes.ts";
import { connectLines } from "./line-client.ts";
import { startLoginStore, storeBehind, whyNoDovecotLogins } from "./logins.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { newMessage } from "./messages.ts";
import { createStarted, whyNot } from "./servers.ts";

const SECRET = "s3cret";
const [ADA, BOB] = ["ada@example.com", "bob@example.com"];
const reason = await whyNoDovecotLogins();
const skip = reason === false ? await whyNot(NGINX_PACKAGES) : reason;

describe("nginx asks where logins go", { skip }, () => {
  const started = createStarted();
  let folder = "";
  let mailshunt: Mailshunt;
  let nginx: Nginx;
  let [old, young]: (Dovecot | undefined)[] = [];
  /** What the store of submissions was told. */
  const submitted: string[] = [];
  const port = {
    imap: 0,
    pop3: 0,
    smtp: 0,
    wrongSecret: 0,
    noSecret: 0,
    nobody: 0,
    locked: 0,
    overUnix: 0,
    wrongSmtp: 0,
  };
  let ports: readonly number[] = [];

  const config = (home: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "127.0.0.1:${ports[0]}" }
  - { protocol: auth-http, address: "127.0.0.1:${ports[1]}", secret: ${SECRET} }
  - { protocol: auth-http, address: "unix:${folder}/auth-http", secret: ${SECRET}, permissions: "0666" }
log: { level: debug }
backends:
  old:
    lmtp: "127.0.0.1:${old?.lmtpPort}"
    imap: { address: "localhost:${old?.imapPort}", master_user: admin, password: master }
    pop3: { address: "127.0.0.1:${old?.pop3Port}" }
    submission: { address: "127.0.0.1:${ports[2]}" }
  new:
    lmtp: "127.0.0.1:${young?.lmtpPort}"
    imap: { address: "127.0.0.1:${young?.imapPort}" }
    pop3: { address: "127.0.0.1:${young?.pop3Port}" }
  lost: { lmtp: "127.0.0.1:9", imap: { address: "no-such-name.invalid:143" } }
tables:
  users: { type: static, entries: { ada: ${home}, bob: new, gone: refuse, moving: hold, lost: lost } }
routing: { tables: [users] }
`;

  before(async () => {
    folder = await makeSearchableFolder("nginx-test");
    [old, young] = await Promise.all([
      started.add(startLoginStore("old", folder)),
      started.add(startLoginStore("new", folder)),
    ]);
    const store = await startSubmissionStore(submitted);
    const locking = await startLocking();
    await started.add(Promise.resolve(store));
    await started.add(Promise.resolve(locking));
    ports = [...(await findFreePorts(2)), store.port];
    const [deadPort] = await findFreePorts(1);
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: () => config("old") }));
    const authHttp = `127.0.0.1:${ports[1]}/auth`;
    nginx = await started.add(
      startNginx([
        { protocol: "imap", authHttp, secret: SECRET },
        { protocol: "pop3", authHttp, secret: SECRET },
        { protocol: "smtp", authHttp, secret: SECRET },
        { protocol: "imap", authHttp, secret: "another" },
        { protocol: "imap", authHttp, secret: undefined },
        { protocol: "imap", authHttp: `127.0.0.1:${deadPort}/auth`, secret: SECRET },
        { protocol: "imap", authHttp: `127.0.0.1:${locking.port}/auth`, secret: SECRET },
        { protocol: "imap", authHttp: `unix:${folder}/auth-http:/auth`, secret: SECRET },
        { protocol: "smtp", authHttp, secret: "another" },
      ]),
    );
    for (const [index, name] of (Object.keys(port) as (keyof typeof port)[]).entries())
      port[name] = nginx.ports[index] ?? 0;
  });
  after(async () => {
    await started.stop();
    await removeFolder(folder);
  });

  const reached = [
    { user: ADA, store: "old" },
    { user: "Ada@Example.com", store: "old" },
    { user: "ada", store: "old" },
    { user: BOB, store: "new" },
  ];
  for (const { user, store } of reached)
    test(`IMAP: ${user} reaches ${store}`, async () => assert.equal(await storeBehind(port.imap, user), store));

  test("IMAP: an administrator reaches the store of the user", async () => {
    assert.equal(await storeBehind(port.imap, `${BOB}*admin`, "master"), "new");
    assert.equal(await storeBehind(port.imap, `${ADA}*admin`, "master"), "old");
  });

  test("IMAP: no answer gets anybody in without the store's word", async () => {
    assert.match(await storeBehind(port.imap, ADA, "wrong"), /^NO \[AUTHENTICATIONFAILED\]/);
    assert.match(await storeBehind(port.imap, ADA, "master"), /^NO \[AUTHENTICATIONFAILED\]/);
  });

  test("IMAP: over a unix socket as well", async () => assert.equal(await storeBehind(port.overUnix, BOB), "new"));

  const MOVING = "[UNAVAILABLE] Your mailbox is being moved, try again in a few minutes";
  const TEMPORARY = "[UNAVAILABLE] Temporary failure, try again later";
  const refused = [
    { what: "an unknown user", user: "eve@example.com", want: "[AUTHENTICATIONFAILED] Authentication failed" },
    { what: "a refused user", user: "gone@example.com", want: "[CONTACTADMIN] This mailbox is closed" },
    { what: "a user whom a table holds", user: "moving@example.com", want: TEMPORARY },
    { what: "a store whose name nobody knows", user: "lost@example.com", want: TEMPORARY },
    { what: "a locked user", user: ADA, want: MOVING, at: "locked" as const },
  ];
  describe("who is refused may try again on the same connection", { concurrency: true }, () => {
    for (const { what, user, want, at = "imap" } of refused)
      test(`IMAP: ${what}`, async () => {
        const client = await connectLines(port[at]);
        assert.equal(await client.say(`a LOGIN ${user} secret`, /^a /), `a NO ${want}`);
        const again = at === "locked" ? `b NO ${want}` : "b OK";
        assert.ok((await client.say(`b LOGIN ${BOB} secret`, /^b /)).startsWith(again));
        client.close();
      });

    test("IMAP: CRAM-MD5, which only stores could check, is temporary", async () => {
      const client = await connectLines(port.imap);
      assert.match(await client.say("a AUTHENTICATE CRAM-MD5", /^\+ /), /^\+ /);
      const response = Buffer.from(`${ADA} 0123456789abcdef0123456789abcdef`).toString("base64");
      assert.equal(await client.say(response, /^a /), `a NO ${TEMPORARY}`);
      client.close();
    });

    test("POP3", async () => {
      const client = await connectLines(port.pop3);
      assert.equal(await client.say("USER eve", /^/), "+OK");
      assert.equal(await client.say("PASS secret", /^/), "-ERR [AUTH] Authentication failed");
      assert.equal(await client.say("USER gone", /^/), "+OK");
      assert.equal(await client.say("PASS secret", /^/), "-ERR [SYS/PERM] This mailbox is closed");
      assert.equal(await client.say("USER lost", /^/), "+OK");
      assert.equal(await client.say("PASS secret", /^/), "-ERR [SYS/TEMP] Temporary failure, try again later");
      client.close();
    });

    test("submission", async () => {
      const client = await connectLines(port.smtp);
      await client.say("EHLO c.example", /^250 /);
      const auth = (user: string): Promise<string> =>
        client.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0secret`).toString("base64")}`, /^/);
      assert.equal(await auth("eve"), "535 5.7.8 Authentication failed");
      assert.equal(await auth("gone"), "525 5.7.13 This mailbox is closed");
      // There is no "submission" for it.
      assert.equal(await auth(BOB), "454 4.7.0 Temporary failure, try again later");
      client.close();
    });
  });

  const SECRETS = [
    { what: "a wrong secret", at: "wrongSecret" },
    { what: "no secret", at: "noSecret" },
  ] as const;
  for (const { what, at } of SECRETS)
    test(`IMAP: ${what} is an error of nginx, and no refusal`, async () => {
      const client = await connectLines(port[at]);
      assert.equal(await client.say(`a LOGIN ${ADA} secret`, /^(?:a|\*) /), "* BAD internal server error");
      client.close();
    });

  test("submission: a wrong secret is temporary", async () => {
    const client = await connectLines(port.wrongSmtp);
    await client.say("EHLO c.example", /^250 /);
    const plain = Buffer.from(`\0${ADA}\0secret`).toString("base64");
    assert.match(await client.say(`AUTH PLAIN ${plain}`, /^/), /^451 4\.3\.2 /);
    client.close();
  });

  test("IMAP: with nobody to ask, nobody is refused", async () => {
    const client = await connectLines(port.nobody);
    assert.match(
      await client.say(`a LOGIN ${ADA} secret`, /^(?:a|\*) /),
      /^(?:\(closed\)|\* BAD internal server error)$/,
    );
    client.close();
  });

  test("POP3: what LMTP has delivered is where POP3 reads", async () => {
    const message = newMessage();
    using lmtp = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port: ports[0] ?? 0 });
    await lmtp.lhlo();
    const { final } = await lmtp.transaction({ recipients: [BOB], content: message.content });
    assert.match(final[0] ?? "", /^250 2\.0\.0 /);
    const client = await connectLines(port.pop3);
    await client.say(`USER ${BOB}`, /^/);
    assert.match(await client.say("PASS secret", /^/), /^\+OK/);
    assert.equal(await client.say("RETR 1", /^Message-ID/i), `Message-ID: <${message.id}>`);
    client.close();
  });

  test("submission: the store hears who has logged in", async () => {
    const client = await connectLines(port.smtp);
    await client.say("EHLO c.example", /^250 /);
    const plain = Buffer.from(`\0joe a*x@example.com\0secret`).toString("base64");
    assert.match(await client.say(`AUTH PLAIN ${plain}`, /^/), /^535 /);
    assert.match(await client.say(`AUTH PLAIN ${Buffer.from(`\0${ADA}\0secret`).toString("base64")}`, /^/), /^235 /);
    assert.ok(submitted.includes(`XCLIENT ADDR=127.0.0.1 LOGIN=${ADA} NAME=[UNAVAILABLE]`), submitted.join("\n"));
    client.close();
  });

  test("after a reload every login goes to the new store", async () => {
    await mailshunt.reload(config("new"));
    assert.equal(await storeBehind(port.imap, ADA), "new");
    await mailshunt.reload(config("old"));
    assert.equal(await storeBehind(port.imap, ADA), "old");
  });

  test("the log tells who was sent where, and no password", () => {
    const text = mailshunt.log.text();
    assert.match(text, /imap "ada@example\.com" from 127\.0\.0\.1: old at localhost:\d+/);
    assert.match(text, /a request has another x-auth-key/);
    assert.match(text, /cram-md5 needs passwords/);
    assert.match(text, /the address of no-such-name\.invalid cannot be looked up/);
    assert.doesNotMatch(text, /secret|s3cret|master\b|a bug/);
  });
});

/** Takes nginx's word for who has logged in, as Postfix does. */
async function startSubmissionStore(heard: string[]): Promise<{ port: number; stop(): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write("220 store.example\r\n");
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf("\r\n"); end !== -1; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        heard.push(line);
        socket.write(line.startsWith("XCLIENT") ? "220 store.example\r\n" : "250 ok\r\n");
      }
    });
  });
  return listening(server);
}

/** The responder, to whom every mailbox is being moved. */
async function startLocking(): Promise<{ port: number; stop(): Promise<void> }> {
  const server = createAuthHttpServer({
    listener: {
      protocol: "auth-http",
      address: { kind: "tcp", host: "127.0.0.1", port: 0 },
      owner: undefined,
      group: undefined,
      permissions: undefined,
      maxConnections: 100,
      maxConnectionsPerAddress: 100,
      secret: SECRET,
      header: "x-auth-key",
      masterSeparator: "*",
    },
    findLogin: (_service, user) => ({ login: { kind: "locked", userKey: user }, ip: "" }),
    clock: systemClock,
    log: { write: () => undefined },
  });
  return listening(createServer({ allowHalfOpen: true }, (socket) => server.accept(socket)));
}

async function listening(server: ReturnType<typeof createServer>): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
