import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { createClient } from "@redis/client";
import { Client } from "ldapts";
import type { Answer } from "../../src/tables/table.ts";
import { LDAP } from "../../src/tables/ldap/ldap-table.ts";
import { REDIS } from "../../src/tables/redis/redis-table.ts";
import { SQL } from "../../src/tables/sql/sql-table.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { MARIADB_PACKAGES } from "../support/mariadb.ts";
import { openType } from "../support/open-type.ts";
import type { RawOptions } from "../support/open-type.ts";
import { POSTGRES_PACKAGES } from "../support/postgres.ts";
import { REDIS_PACKAGES, startRedis } from "../support/redis.ts";
import { SLAPD_ADMIN, SLAPD_BASE, SLAPD_PACKAGES, startSlapd } from "../support/slapd.ts";
import { GUARD } from "../support/table-contract-parts.ts";
import { whyNot } from "./servers.ts";
import { startMariadbSubject, startPostgresSubject } from "./sql-subjects.ts";

const skip = await whyNot([...POSTGRES_PACKAGES, ...MARIADB_PACKAGES, ...REDIS_PACKAGES, ...SLAPD_PACKAGES]);

/** Where answers are cut: each byte of short ones, so many places of long ones. */
const MAX_CUTS = 150;

/** How long a lookup waits for a server that says no more, in ms. */
const IMPATIENT_MS = 30;

interface Subject {
  readonly port: number;
  /** For a proxy's port; the table has `a` with the value `1`. */
  readonly optionsAt: (port: number) => RawOptions;
  stop(): Promise<void>;
}

const startSql = (startSubject: typeof startPostgresSubject) => async (): Promise<Subject> => {
  const subject = await startSubject();
  await subject.replaceEntries(new Map([["a", "1"]]));
  const { tls: _tls, ca_file: _ca, address = "", ...options } = subject.tcpOptions;
  return {
    port: Number(/\d+$/.exec(address)?.[0]),
    optionsAt: (port) => ({ ...options, ...subject.queries, address: `127.0.0.1:${port}` }),
    stop: () => subject.stop(),
  };
};

async function startRedisSubject(): Promise<Subject> {
  const redis = await startRedis();
  const client = createClient({ socket: { host: "127.0.0.1", port: redis.port } });
  await client.connect();
  await client.set("a", "1");
  client.destroy();
  return { port: redis.port, optionsAt: (port) => ({ address: `127.0.0.1:${port}` }), stop: () => redis.stop() };
}

async function startLdapSubject(): Promise<Subject> {
  const slapd = await startSlapd();
  const client = new Client({ url: `ldap://127.0.0.1:${slapd.port}` });
  await client.bind(SLAPD_ADMIN.dn, SLAPD_ADMIN.password);
  await client.add(`cn=a,${SLAPD_BASE}`, { objectClass: "person", sn: "a", description: "1" });
  await client.unbind();
  return {
    port: slapd.port,
    optionsAt: (port) => ({
      url: `ldap://127.0.0.1:${port}`,
      bind_dn: SLAPD_ADMIN.dn,
      bind_password: SLAPD_ADMIN.password,
      base: SLAPD_BASE,
      filter: "(cn={key})",
      attributes: ["description"],
    }),
    stop: () => slapd.stop(),
  };
}

const kinds = [
  { name: "postgres", type: SQL, start: startSql(startPostgresSubject) },
  { name: "mariadb", type: SQL, start: startSql(startMariadbSubject) },
  { name: "redis", type: REDIS, start: startRedisSubject },
  { name: "ldap", type: LDAP, start: startLdapSubject },
];

for (const { name, type, start } of kinds)
  describe(`${name}, cut off`, { skip }, () => {
    let subject: Subject;
    let proxy: CuttingProxy;
    before(async () => {
      subject = await start();
      proxy = await startCuttingProxy(subject.port);
    });
    after(async () => {
      await proxy?.close();
      await subject?.stop();
    });

    /** One lookup over connections of its own. */
    const ask = async (t: TestContext, timeoutMs: number): Promise<Answer> => {
      const { table } = openType(type, subject.optionsAt(proxy.port), { guard: { ...GUARD, timeoutMs } });
      t.after(() => table.close());
      const answer = await table.lookup("a");
      await table.close();
      return answer;
    };

    for (const how of ["closed", "silent"] as const)
      test(`after any number of bytes it is never absent, when the server is ${how}`, async (t) => {
        proxy.cut("closed", Number.POSITIVE_INFINITY);
        assert.deepEqual(await ask(t, GUARD.timeoutMs), { kind: "found", value: "1" });
        const total = proxy.lastBytes;
        const cuts = how === "closed" ? MAX_CUTS : MAX_CUTS / 5;
        const step = Math.max(1, total / cuts);
        const kindsSeen = new Set<string>();
        for (let at = 0; at < total; at += step) {
          proxy.cut(how, Math.floor(at));
          const answer = await ask(t, how === "closed" ? GUARD.timeoutMs : IMPATIENT_MS);
          assert.notEqual(answer.kind, "absent", `after ${Math.floor(at)} of ${total} bytes`);
          if (answer.kind === "found") assert.equal(answer.value, "1");
          kindsSeen.add(answer.kind);
        }
        assert.ok(kindsSeen.has("failed"));
      });
  });
