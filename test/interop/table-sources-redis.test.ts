import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { createClient, RESP_TYPES } from "@redis/client";
import type { Change, WriteOutcome } from "../../src/tables/table.ts";
import { REDIS } from "../../src/tables/redis/redis-table.ts";
import { encodeText } from "../../src/wire/text.ts";
import { openType } from "../support/open-type.ts";
import type { OpenedType, RawOptions } from "../support/open-type.ts";
import { type Redis, REDIS_PACKAGES, startRedis } from "../support/redis.ts";
import { listAll } from "../support/table-contract-lists.ts";
import { GUARD } from "../support/table-contract-parts.ts";
import { testTableContract } from "../support/table-contract.ts";
import { until } from "../support/until.ts";
import { whyNot } from "./servers.ts";

const skip = await whyNot(REDIS_PACKAGES);

const PASSWORD = "pass word\"'";
const asIs = (text: string): string | Buffer => (text.isWellFormed() ? text : encodeText(text));

describe("redis", { skip }, () => {
  let redis: Redis;
  let isDown = false;
  before(async () => {
    redis = await startRedis({
      config: `user reader on >${Buffer.from(PASSWORD).toString("hex")} ~* +@read +@connection`,
    });
  });
  after(() => redis?.stop());

  const kill = async (): Promise<void> => {
    await redis.kill();
    isDown = true;
  };
  const repair = async (): Promise<void> => {
    if (isDown) await redis.start();
    isDown = false;
  };
  /** As the administrator, on a connection of its own. */
  const run = async (...commands: readonly (readonly (string | Buffer)[])[]): Promise<unknown[]> => {
    const client = createClient({ socket: { path: redis.socket, reconnectStrategy: false } });
    client.on("error", () => undefined);
    await client.connect();
    const types = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
    try {
      return await Promise.all(commands.map((command) => client.sendCommand([...command] as string[], types)));
    } finally {
      client.destroy();
    }
  };
  const open = (t: TestContext, options: RawOptions = {}): OpenedType => {
    const opened = openType(REDIS, { address: `unix:${redis.socket}`, ...options }, { guard: GUARD });
    t.after(() => opened.table.close());
    return opened;
  };
  const write = (table: OpenedType["table"], ...changes: readonly Change[]): Promise<WriteOutcome> => {
    assert.ok(table.write);
    return table.write(changes);
  };
  const set = (key: string, value: string): Change => ({ kind: "set", key, value });
  const increment = (key: string, by = 1n): Change => ({ kind: "increment", key, by });

  const layouts = [
    { name: "redis keys", options: { redis_key: "mail:{}" }, put: (key: string) => ["SET", asIs(`mail:${key}`)] },
    { name: "redis bare keys", options: {}, put: (key: string) => ["SET", asIs(key)] },
    { name: "redis hash", options: { hash: "boxes" }, put: (key: string) => ["HSET", "boxes", asIs(key)] },
  ];
  for (const { name, options, put } of layouts)
    testTableContract({
      name,
      type: REDIS,
      async start(t, entries) {
        t.after(repair);
        await run(["FLUSHALL"], ...[...entries].map(([key, value]) => [...put(key), asIs(value)]));
        return { options: { address: `unix:${redis.socket}`, ...options }, break: kill, repair };
      },
      holdsKeys: () => true,
      holdsValues: () => true,
      writes: true,
      increments: true,
      lists: true,
    });

  test("a wrong password is failed, and stands in no reason", async (t) => {
    const answer = await open(t, { user: "reader", password: "wrong-secret" }).table.lookup("a");
    const reason = `redis at unix:${redis.socket}: WRONGPASS invalid username-password pair or user is disabled.`;
    assert.deepEqual(answer, { kind: "failed", reason, scope: "source" });
  });

  test("a user may read and not write", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    const { table } = open(t, { user: "reader", password: Buffer.from(PASSWORD).toString("hex") });
    assert.deepEqual(await table.lookup("a"), { kind: "found", value: "1" });
    const outcome = await write(table, set("a", "2"));
    assert.ok(outcome.kind === "failed", JSON.stringify(outcome));
    assert.match(outcome.reason, /NOPERM/);
  });

  test("a database by its number", async (t) => {
    await run(["FLUSHALL"], ["SELECT", "3"], ["SET", "a", "three"]);
    assert.deepEqual(await open(t, { database: "3" }).table.lookup("a"), { kind: "found", value: "three" });
    assert.deepEqual(await open(t).table.lookup("a"), { kind: "absent" });
  });

  test("TLS wants a certificate that can be trusted", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    const address = `localhost:${redis.tlsPort}`;
    const trusted = open(t, { address, tls: "true", ca_file: redis.caFile });
    assert.deepEqual(await trusted.table.lookup("a"), { kind: "found", value: "1" });
    const failed = await open(t, { address, tls: "true" }).table.lookup("a");
    assert.ok(failed.kind === "failed" && failed.scope === "source", JSON.stringify(failed));
    assert.match(failed.reason, /certificate|issuer/);
    // Another name of the same server, for which the certificate is not.
    const misnamed = { address: `127.1:${redis.tlsPort}`, tls: "true", ca_file: redis.caFile };
    const refused = await open(t, misnamed).table.lookup("a");
    assert.ok(refused.kind === "failed" && refused.scope === "source", JSON.stringify(refused));
    assert.match(refused.reason, /altnames/);
  });

  test("what is of another type has failed for its key alone", async (t) => {
    await run(["FLUSHALL"], ["LPUSH", "list", "a"], ["SET", "text", "a"]);
    const wrong = /WRONGTYPE/;
    for (const answer of [await open(t).table.lookup("list"), await open(t, { hash: "text" }).table.lookup("a")]) {
      assert.ok(answer.kind === "failed" && answer.scope === undefined, JSON.stringify(answer));
      assert.match(answer.reason, wrong);
    }
    const { table } = open(t, { hash: "text" });
    for (const change of [set("a", "1"), increment("a")]) {
      const outcome = await write(table, change);
      assert.ok(outcome.kind === "failed", JSON.stringify(outcome));
      assert.match(outcome.reason, wrong);
    }
    await assert.rejects(listAll(table, ""), { name: "TableFailure" });
    assert.deepEqual(await listAll(open(t).table, ""), [["text", "a"]]);
  });

  test("a replica without its master's data has failed for all keys", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    t.after(() => run(["REPLICAOF", "NO", "ONE"], ["CONFIG", "SET", "replica-serve-stale-data", "yes"]));
    await run(["CONFIG", "SET", "replica-serve-stale-data", "no"], ["REPLICAOF", "127.0.0.1", "1"]);
    const { table } = open(t);
    const answer = await table.lookup("a");
    assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
    assert.match(answer.reason, /MASTERDOWN/);
    assert.equal((await write(table, set("a", "2"))).kind, "failed");
  });

  test("the first lookup after a restart is found", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    t.after(repair);
    const { table } = open(t);
    assert.deepEqual(await table.lookup("a"), { kind: "found", value: "1" });
    await kill();
    await repair();
    assert.deepEqual(await table.lookup("a"), { kind: "found", value: "1" });
  });

  test("nothing is absent or wrong while the server goes and comes", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    t.after(repair);
    const { table } = open(t);
    let isOver = false;
    const counts = { found: 0, failed: 0 };
    const asking = Array.from({ length: 5 }, async () => {
      while (!isOver) {
        const answer = await table.lookup("a");
        assert.notEqual(answer.kind, "absent");
        if (answer.kind === "found") assert.equal(answer.value, "1");
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
    await run(["FLUSHALL"], ["SET", "a", "1"]);
    const guard = { ...GUARD, timeoutMs: 600 };
    const { table } = openType(REDIS, { address: `127.0.0.1:${redis.port}` }, { guard });
    t.after(() => table.close());
    t.after(() => redis.signal("SIGCONT"));
    assert.deepEqual(await table.lookup("a"), { kind: "found", value: "1" });
    redis.signal("SIGSTOP");
    const answers = await Promise.all([table.lookup("a"), table.lookup("b")]);
    for (const answer of answers) assert.ok(answer.kind === "failed" && answer.scope === "source");
    assert.equal((await write(table, set("c", "1"))).kind, "uncertain");
    redis.signal("SIGCONT");
    await until("found", async () => ((await table.lookup("a")).kind === "found" ? true : undefined));
  });

  test("what expires is gone, and what is set anew is not", async (t) => {
    await run(["FLUSHALL"]);
    const { table } = open(t);
    assert.deepEqual(await write(table, { kind: "set", key: "a", value: "1", expireSeconds: 1.5 }), { kind: "done" });
    assert.deepEqual(await run(["TTL", "a"]), [2]);
    assert.deepEqual(await write(table, increment("a")), { kind: "done" });
    assert.deepEqual(await run(["TTL", "a"]), [2]);
    assert.deepEqual(await write(table, set("a", "5")), { kind: "done" });
    assert.deepEqual(await run(["TTL", "a"]), [-1]);
    // Redis 7.0 knows no fields that expire: then nothing is written.
    const hash = open(t, { hash: "boxes" }).table;
    const outcome = await write(hash, set("b", "1"), { kind: "set", key: "a", value: "1", expireSeconds: 60 });
    assert.ok(outcome.kind === "failed" ? /HEXPIRE/.test(outcome.reason) : outcome.kind === "done");
    assert.equal((await hash.lookup("b")).kind, outcome.kind === "done" ? "found" : "absent");
  });

  test("sums of more than 64 bits are not made, and nothing beside them is written", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "9223372036854775806"], ["SET", "b", "007"]);
    const { table } = open(t);
    assert.deepEqual(await write(table, increment("a")), { kind: "done" });
    for (const [key, reason] of [
      ["a", "the sum has more than 64 bits"],
      ["b", "the value is no whole number"],
    ] as const) {
      const outcome = await write(table, set("c", "1"), increment(key));
      assert.deepEqual(outcome, { kind: "failed", reason: `redis at unix:${redis.socket}: ${reason}` });
    }
    assert.deepEqual(await table.lookup("c"), { kind: "absent" });
    assert.deepEqual(await table.lookup("a"), { kind: "found", value: "9223372036854775807" });
  });

  test("of two who count at the same time neither is lost", async (t) => {
    await run(["FLUSHALL"], ["SET", "a", "0"]);
    const tables = [open(t).table, open(t).table];
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => tables.map((table) => write(table, increment("a"), set("b", "x")))).flat(),
    );
    const done = outcomes.filter(({ kind }) => kind === "done").length;
    assert.deepEqual(await tables[0]?.lookup("a"), { kind: "found", value: String(done) });
    assert.equal(done, outcomes.length);
  });
});
