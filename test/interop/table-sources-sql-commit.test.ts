import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { WriteOutcome } from "../../src/tables/table.ts";
import { SQL } from "../../src/tables/sql/sql-table.ts";
import type { GuardedSource } from "../../src/tables/wrappers/guard.ts";
import { MARIADB_PACKAGES } from "../support/mariadb.ts";
import { openType } from "../support/open-type.ts";
import { POSTGRES_PACKAGES } from "../support/postgres.ts";
import { whyNot } from "./servers.ts";
import { startMariadbSubject, startPostgresSubject } from "./sql-subjects.ts";
import type { SqlSubject } from "./sql-subjects.ts";

const skip = await whyNot([...POSTGRES_PACKAGES, ...MARIADB_PACKAGES]);

describe("postgres, when it commits", { skip }, () => {
  let subject: SqlSubject;
  before(async () => {
    subject = await startPostgresSubject();
    await subject.run(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.v = 'refuse' THEN RAISE 'refused at last'; END IF;
        RETURN NULL; END $$;
      CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF NEW.v = 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
        RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER a AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
      CREATE CONSTRAINT TRIGGER b AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`);
  });
  after(() => subject?.stop());

  const write = async (
    t: TestContext,
    value: string,
  ): Promise<{ readonly outcome: WriteOutcome | undefined; readonly table: GuardedSource }> => {
    const { table } = openType(SQL, { ...subject.options, ...subject.queries });
    t.after(() => table.close());
    const outcome = await table.write?.([{ kind: "set", key: "a", value }]);
    return { outcome, table };
  };

  test("a refusal is failed", async (t) => {
    const { outcome, table } = await write(t, "refuse");
    assert.ok(outcome?.kind === "failed", JSON.stringify(outcome));
    assert.match(outcome.reason, /refused at last, while committing$/);
    assert.deepEqual(await table.lookup("a"), { kind: "absent" });
  });

  test("a lost connection is uncertain", async (t) => {
    const { outcome, table } = await write(t, "die");
    assert.ok(outcome?.kind === "uncertain", JSON.stringify(outcome));
    assert.match(outcome.reason, /terminating connection .*, while committing$/);
    assert.deepEqual(await table.lookup("a"), { kind: "absent" });
  });

  test("keys and values of bytes have any bytes", async (t) => {
    const queries = {
      get: "SELECT v FROM bytes WHERE k = :key",
      set: "INSERT INTO bytes VALUES (:key, :value)",
    };
    await subject.run("CREATE TABLE bytes (k bytea, v bytea); GRANT ALL ON bytes TO mailshunt");
    const { table } = openType(SQL, { ...subject.options, ...queries });
    t.after(() => table.close());
    const [key, value] = ["\udcff@x", "\udc80\0\udcfe"];
    assert.deepEqual(await table.write?.([{ kind: "set", key, value }]), { kind: "done" });
    assert.deepEqual(await table.lookup(key), { kind: "found", value });
  });
});

describe("mariadb without transactions", { skip }, () => {
  let subject: SqlSubject;
  before(async () => {
    subject = await startMariadbSubject();
    await subject.run("CREATE TABLE m (k varchar(100) PRIMARY KEY, v text) ENGINE=MyISAM");
  });
  after(() => subject?.stop());

  test("a write that cannot be taken back is uncertain", async (t) => {
    const queries = {
      get: "SELECT v FROM m WHERE k = :key",
      set: "INSERT INTO m VALUES (:key, :value)",
      increment: "UPDATE m SET v = v + :by WHERE k = :key",
    };
    const { table } = openType(SQL, { ...subject.options, ...queries });
    t.after(() => table.close());
    const outcome = await table.write?.([
      { kind: "set", key: "a", value: "1" },
      { kind: "increment", key: "b", by: 1n },
    ]);
    assert.ok(outcome?.kind === "uncertain", JSON.stringify(outcome));
    assert.match(outcome.reason, /took nothing back$/);
  });
});
