import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Attribute, Client, Control } from "ldapts";
import { LDAP } from "../../src/tables/ldap/ldap-table.ts";
import { encodeText } from "../../src/wire/text.ts";
import { openType } from "../support/open-type.ts";
import type { OpenedType, RawOptions } from "../support/open-type.ts";
import { type Slapd, SLAPD_ADMIN, SLAPD_BASE, SLAPD_PACKAGES, startSlapd } from "../support/slapd.ts";
import { GUARD } from "../support/table-contract-parts.ts";
import { testTableContract } from "../support/table-contract.ts";
import { until } from "../support/until.ts";
import { whyNot } from "./servers.ts";

const skip = await whyNot(SLAPD_PACKAGES);

const READER = { bind_dn: `cn=reader,${SLAPD_BASE}`, bind_password: "reader secret" } as const;
const PEOPLE = `ou=people,${SLAPD_BASE}`;

/** ManageDsaIT: takes a referral for an entry like another. Source: RFC 3296. */
const MANAGE_DSA_IT = new Control("2.16.840.1.113730.3.4.2", { critical: true });

type Values = Readonly<Record<string, string | readonly string[]>>;

describe("ldap", { skip }, () => {
  let slapd: Slapd;
  let isDown = false;
  before(async () => {
    slapd = await startSlapd({
      // Who is nobody finds nothing at all below people, and is told no error.
      config: `
access to dn.subtree="${PEOPLE}" by dn.exact="${READER.bind_dn}" read by * search
access to * by * read by anonymous auth
limits dn.exact="${READER.bind_dn}" size=50`,
    });
    await administer(async (client) => {
      const password = READER.bind_password;
      await add(client, READER.bind_dn, { objectClass: ["person"], sn: "reader", userPassword: password });
      await add(client, PEOPLE, { objectClass: ["organizationalUnit"] });
    });
  });
  after(() => slapd?.stop());

  const kill = async (): Promise<void> => {
    await slapd.kill();
    isDown = true;
  };
  const repair = async (): Promise<void> => {
    if (isDown) await slapd.start();
    isDown = false;
  };
  const administer = async (act: (client: Client) => Promise<void>): Promise<void> => {
    const client = new Client({ url: `ldap://127.0.0.1:${slapd.port}` });
    await client.bind(SLAPD_ADMIN.dn, SLAPD_ADMIN.password);
    try {
      await act(client);
    } finally {
      await client.unbind();
    }
  };
  const add = (client: Client, dn: string, values: Values): Promise<void> =>
    client.add(
      dn,
      Object.entries(values).map(([type, given]) => {
        const all = typeof given === "string" ? [given] : given;
        return new Attribute({ type, values: all.map(encodeText) });
      }),
    );
  /** Exactly these below PEOPLE. */
  const replacePeople = (people: readonly Values[]): Promise<void> =>
    administer(async (client) => {
      const { searchEntries } = await client.search(PEOPLE, { scope: "one", attributes: ["1.1"] });
      for (const { dn } of searchEntries) await client.del(dn);
      for (const [number, values] of people.entries())
        await add(client, `cn=${number},${PEOPLE}`, { objectClass: ["inetOrgPerson"], sn: "x", ...values });
    });
  const options = (): RawOptions => ({
    url: slapd.socketUrl,
    ...READER,
    base: PEOPLE,
    filter: "(mail={key})",
    attributes: ["description"],
  });
  const open = (t: TestContext, given: RawOptions = {}, timeoutMs = GUARD.timeoutMs): OpenedType => {
    const opened = openType(LDAP, { ...options(), ...given }, { guard: { ...GUARD, timeoutMs } });
    t.after(() => opened.table.close());
    return opened;
  };

  testTableContract({
    name: "ldap",
    type: LDAP,
    async start(t, entries) {
      t.after(repair);
      await replacePeople([...entries].map(([uid, userPassword]) => ({ uid, userPassword })));
      return {
        options: { ...options(), filter: "(uid={key})", attributes: ["userPassword"] },
        break: kill,
        repair,
      };
    },
    // A directory string is UTF-8, and blanks alone are none. What has a NUL is not asked for.
    holdsKeys: (key) => key.isWellFormed() && key.trim() !== "" && !key.includes("\0"),
    holdsValues: (value) => value !== "",
    ignoresBlanks: true,
  });

  test("a key is a value and nothing else, wherever it stands in the filter", async (t) => {
    await replacePeople([
      { mail: "a@example.com", description: "1", uid: "x" },
      { mail: "b@example.com", description: "2", uid: "*" },
    ]);
    const found = (value: string) => ({ kind: "found", value });
    const { table } = open(t, { filter: "(&(objectClass=*)(|(mail={key})(uid={localpart})(mail=*{key}*)))" });
    assert.deepEqual(await table.lookup("a@example.com"), found("1"));
    assert.deepEqual(await table.lookup("*"), found("2"));
    for (const key of ["*)(objectClass=*", "\\2a", "a*", "a@example.com)(mail=*", "a\n", "|(mail=*)", "\udcff"])
      assert.deepEqual(await table.lookup(key), { kind: "absent" }, key);
    // slapd itself ends an address there.
    assert.equal((await open(t).table.lookup("a@example.com\0")).kind, "failed");
    // What is empty compares with nothing: a piece of nothing would stand in every value.
    for (const key of ["", "@"]) {
      const answer = await open(t, { filter: "(mail=*{localpart}*)" }).table.lookup(key);
      assert.deepEqual(answer, { kind: "absent" });
    }
    const escaped = open(t, { filter: "(&(mail={localpart}@{domain})(!(description=\\c3\\a9)))" });
    assert.deepEqual(await escaped.table.lookup("b@example.com"), found("2"));
  });

  test("all values of all entries are the results, in the order of the attributes", async (t) => {
    await replacePeople([
      { mail: "a@example.com", description: ["1", "2"], title: "t" },
      { mail: "a@example.com", title: "müller" },
      { mail: "b@example.com" },
    ]);
    const { table } = open(t, { attributes: ["TITLE", "description", "mobile"] });
    const answer = await table.lookup("a@example.com");
    assert.ok(answer.kind === "found");
    assert.deepEqual(answer.values, ["t", "1", "2", "müller"]);
    assert.deepEqual(await table.lookup("b@example.com"), { kind: "absent" });
    const dn = await open(t, { attributes: ["dn"] }).table.lookup("b@example.com");
    assert.deepEqual(dn, { kind: "found", value: `cn=2,${PEOPLE}` });
  });

  test("a base that is not there has failed", async (t) => {
    const answer = await open(t, { base: `ou=missing,${SLAPD_BASE}` }).table.lookup("a@example.com");
    assert.ok(answer.kind === "failed" && answer.scope === undefined, JSON.stringify(answer));
    const reason = `noSuchObject: there is no base "ou=missing,${SLAPD_BASE}", or it may not be seen`;
    assert.ok(answer.reason.endsWith(reason), answer.reason);
  });

  test("a scope is below the base, or it", async (t) => {
    await replacePeople([{ mail: "a@example.com", description: "1" }]);
    const at = async (base: string, scope: string): Promise<string> =>
      (await open(t, { base, scope }).table.lookup("a@example.com")).kind;
    assert.deepEqual(
      await Promise.all([
        at(SLAPD_BASE, "sub"),
        at(SLAPD_BASE, "one"),
        at(PEOPLE, "one"),
        at(PEOPLE, "base"),
        at(`cn=0,${PEOPLE}`, "base"),
      ]),
      ["found", "absent", "found", "absent", "found"],
    );
  });

  test("more entries than are wanted have failed, whoever counts them", async (t) => {
    await replacePeople(Array.from({ length: 60 }, (_, number) => ({ mail: `${number % 6}@x`, description: "1" })));
    const { table } = open(t, { size_limit: "9" });
    const answer = await table.lookup("1@x");
    const reason = `ldap at unix:${decodeURIComponent(slapd.socketUrl.slice("ldapi://".length))}: 10 entries match, more than size_limit: 9`;
    assert.deepEqual(answer, { kind: "failed", reason });
    assert.equal((await open(t, { size_limit: "10" }).table.lookup("1@x")).kind, "found");
    const all = await open(t, { filter: "(|(mail={key})(sn=x))" }).table.lookup("1@x");
    assert.ok(all.kind === "failed" && all.scope === undefined, JSON.stringify(all));
    assert.match(all.reason, /sizeLimitExceeded/);
  });

  test("a wrong password is failed, and stands in no reason", async (t) => {
    const answer = await open(t, { bind_password: "wrong-secret" }).table.lookup("a@example.com");
    assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
    assert.match(answer.reason, /invalidCredentials: wrong bind_dn or bind_password$/);
    assert.ok(!answer.reason.includes("wrong-secret"));
  });

  const secured: readonly [what: string, given: () => RawOptions][] = [
    ["ldaps", () => ({ url: `ldaps://localhost:${slapd.tlsPort}` })],
    ["StartTLS", () => ({ url: `ldap://localhost:${slapd.port}`, starttls: "true" })],
  ];
  for (const [what, given] of secured) {
    test(`${what} wants a certificate of the name that can be trusted`, async (t) => {
      await replacePeople([{ mail: "a@example.com", description: "1" }]);
      const { table } = open(t, { ...given(), ca_file: slapd.caFile });
      assert.deepEqual(await table.lookup("a@example.com"), { kind: "found", value: "1" });
      const untrusted = await open(t, given()).table.lookup("a@example.com");
      assert.ok(untrusted.kind === "failed" && untrusted.scope === "source", JSON.stringify(untrusted));
      assert.match(untrusted.reason, /certificate|issuer/);
      // Another name of the same server, for which the certificate is not.
      const url = String(given()["url"]).replace("localhost", "127.1");
      const misnamed = await open(t, { ...given(), url, ca_file: slapd.caFile }).table.lookup("a@example.com");
      assert.ok(misnamed.kind === "failed" && misnamed.scope === "source", JSON.stringify(misnamed));
      assert.match(misnamed.reason, /altnames/);
    });

    test(`${what}: a restart costs no lookup but those under way`, async (t) => {
      await replacePeople([{ mail: "a@example.com", description: "1" }]);
      t.after(repair);
      const { table } = open(t, { ...given(), ca_file: slapd.caFile });
      assert.deepEqual(await table.lookup("a@example.com"), { kind: "found", value: "1" });
      await kill();
      assert.equal((await table.lookup("a@example.com")).kind, "failed");
      await repair();
      assert.deepEqual(await table.lookup("a@example.com"), { kind: "found", value: "1" });
    });
  }

  test("nothing is absent or wrong while the server goes and comes, though nobody in particular finds nothing", async (t) => {
    await replacePeople([{ mail: "a@example.com", description: "1" }]);
    const { bind_dn: _dn, bind_password: _password, ...anonymous } = options();
    const nobody = openType(LDAP, anonymous, { guard: GUARD }).table;
    t.after(() => nobody.close());
    assert.deepEqual(await nobody.lookup("a@example.com"), { kind: "absent" });
    t.after(repair);
    const { table } = open(t);
    let isOver = false;
    const counts = { found: 0, failed: 0 };
    const asking = Array.from({ length: 6 }, async () => {
      while (!isOver) {
        const answer = await table.lookup("a@example.com");
        assert.notEqual(answer.kind, "absent");
        counts[answer.kind === "found" ? "found" : "failed"] += 1;
        await new Promise(setImmediate);
      }
    });
    for (let round = 0; round < 3; round += 1) {
      await kill();
      await until("a lookup has failed", () => (counts.failed > 0 ? true : undefined));
      await repair();
      counts.found = 0;
      await until("a lookup is answered again", () => (counts.found > 0 ? true : undefined));
      counts.failed = 0;
    }
    isOver = true;
    await Promise.all(asking);
  });

  test("a silent server is given up, and asked anew by the next", async (t) => {
    await replacePeople([{ mail: "a@example.com", description: "1" }]);
    const { table } = open(t, { url: `ldap://127.0.0.1:${slapd.port}` }, 300);
    t.after(() => slapd.signal("SIGCONT"));
    assert.deepEqual(await table.lookup("a@example.com"), { kind: "found", value: "1" });
    slapd.signal("SIGSTOP");
    for (const answer of await Promise.all([table.lookup("a@example.com"), table.lookup("b@example.com")]))
      assert.ok(answer.kind === "failed" && answer.scope === "source");
    slapd.signal("SIGCONT");
    await until("found", async () => ((await table.lookup("a@example.com")).kind === "found" ? true : undefined));
  });

  test("references to other servers are said once, and what is here is answered", async (t) => {
    await replacePeople([{ mail: "a@example.com", description: "1" }]);
    const dn = `ou=elsewhere,${PEOPLE}`;
    await administer(async (client) => {
      const classes = ["referral", "extensibleObject"];
      await add(client, dn, { objectClass: classes, ref: `ldap://other.example/${dn}` });
    });
    t.after(() => administer((client) => client.del(dn, MANAGE_DSA_IT)));
    const { table, said } = open(t);
    for (let count = 0; count < 2; count += 1)
      assert.deepEqual(await table.lookup("a@example.com"), { kind: "found", value: "1" });
    assert.equal(said.length, 1);
    assert.match(said[0]?.text ?? "", /refers to other servers, which are not asked: ldap:\/\/other\.example\//);
  });
});
