import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import type { FakeClock } from "../../test/support/fake-clock.ts";
import { composite, scripted, scriptedType, typesWith } from "../../test/support/scripted-type.ts";
import { openTables } from "./open-tables.ts";
import type { TableSettings } from "./open-tables.ts";
import { KEY_FORMS } from "./options.ts";
import type { CacheOptions, CommonOptions, KeyRules, ValueRules } from "./options.ts";
import { found, TableFailure } from "./table.ts";
import type { Answer } from "./table.ts";

/** What goes wrong in a source while it is asked for a key. */
const FAULTS = ["answers failed", "answers failed of itself", "throws", "rejects", "hangs", "fails late"] as const;
type Fault = (typeof FAULTS)[number];

interface Leaf {
  readonly kind: "memory" | "remote";
  readonly isLate: boolean;
  readonly content: ReadonlyMap<string, readonly string[]>;
}

/** A set of tables, of which each may ask those before it, and the trouble that the sources make. */
interface World {
  readonly leaves: readonly Leaf[];
  readonly configured: ReadonlyMap<string, TableSettings>;
  /** By `leaf/key`. */
  readonly faults: ReadonlyMap<string, Fault>;
}

const GUARD = { timeoutMs: 100, maxInFlight: 2, breaker: { failures: 2, minBackoffMs: 50, maxBackoffMs: 200 } };

const word = fc.constantFrom("u", "v", "u@x", "v@x", "U@X", "u+e@x", "@x", "x", "", '{"a":"u"}', '{"a":null}');
const faultWord = fc.constantFrom(...FAULTS);

const keyRules: fc.Arbitrary<KeyRules> = fc.record({
  fold: fc.constantFrom("none", "domain", "all"),
  recipientDelimiter: fc.constantFrom("", "+"),
  forms: fc.shuffledSubarray([...KEY_FORMS], { minLength: 1 }),
});
const valueRules: fc.Arbitrary<ValueRules> = fc.record({
  jsonPath: fc.constantFrom(undefined, ["a"]),
  template: fc.constantFrom(undefined, "{value}", "{localpart}@{domain}"),
});
const cacheOptions: fc.Arbitrary<CacheOptions> = fc.record({
  ttlMs: fc.constantFrom(0, 10, 1_000),
  absentTtlMs: fc.constantFrom(0, 10, 1_000),
  staleIfFailedMs: fc.constantFrom(0, 1_000),
  maxEntries: fc.constantFrom(1, 100),
});
const common = fc.record({
  key: fc.option(keyRules, { nil: undefined, freq: 2 }),
  value: fc.option(valueRules, { nil: undefined, freq: 4 }),
  cache: fc.option(cacheOptions, { nil: undefined, freq: 2 }),
});

const leaf: fc.Arbitrary<Leaf> = fc.record({
  kind: fc.constantFrom("memory", "remote"),
  isLate: fc.boolean(),
  content: fc
    .array(fc.tuple(word, fc.array(word, { minLength: 1, maxLength: 3 })), { maxLength: 8 })
    .map((entries) => new Map(entries)),
});

interface CompositeSpec {
  readonly type: "first" | "union" | "pipe";
  readonly members: readonly number[];
  readonly common: Partial<CommonOptions>;
}

const compositeSpec: fc.Arbitrary<CompositeSpec> = fc.record({
  type: fc.constantFrom("first", "union", "pipe"),
  members: fc.array(fc.nat(), { minLength: 2, maxLength: 3 }),
  common,
});

const world: fc.Arbitrary<World> = fc
  .record({
    leaves: fc.array(fc.tuple(leaf, common), { minLength: 1, maxLength: 4 }),
    composites: fc.array(compositeSpec, { maxLength: 4 }),
    faults: fc.array(fc.tuple(fc.nat(), word, faultWord), { maxLength: 12 }),
  })
  .map(({ leaves, composites, faults }) => {
    const configured = new Map<string, TableSettings>();
    for (const [at, [{ kind }, options]] of leaves.entries()) {
      const guard = kind === "remote" ? GUARD : undefined;
      configured.set(`t${at}`, scripted(kind, String(at), { ...options, guard }));
    }
    for (const spec of composites) {
      const before = configured.size;
      const members = spec.members.map((member) => `t${member % before}`);
      configured.set(`t${before}`, composite(spec.type, members, spec.common));
    }
    return {
      leaves: leaves.map(([each]) => each),
      configured,
      faults: new Map(faults.map(([at, key, fault]) => [`${at % leaves.length}/${key}`, fault])),
    };
  });

class Run {
  readonly clock: FakeClock = createFakeClock();
  readonly #ask: (name: string, face: "exact" | "ruled", key: string) => Answer | Promise<Answer>;
  /** The sources make trouble. */
  isFaulty = false;

  constructor({ leaves, configured, faults }: World) {
    const open = (id: string): { lookup: (key: string) => Answer | Promise<Answer> } => ({
      lookup: (key) => {
        const { content, isLate } = leaves[Number(id)] ?? assert.fail();
        const fault = this.isFaulty ? faults.get(`${id}/${key}`) : undefined;
        if (fault !== undefined) return makeFault(fault, leaves[Number(id)]?.kind === "remote");
        const answer = found(content.get(key) ?? []);
        return isLate ? new Promise((resolve) => this.clock.after(1, () => resolve(answer))) : answer;
      },
    });
    const types = typesWith({ remote: scriptedType("remote", open), memory: scriptedType("memory", open) });
    const tables = openTables(configured, { clock: this.clock, types, say: () => {} });
    this.#ask = (name, face, key) => (tables[face].get(name) ?? assert.fail()).lookup(key);
  }

  /** Asks for several at the same time, and turns the clock until all are answered. */
  async askAll(questions: readonly Question[]): Promise<Answer[]> {
    let left = questions.length;
    const answers = Promise.all(
      questions.map(async ({ name, face, key }) => {
        const answer = await this.#ask(name, face, key);
        left -= 1;
        return answer;
      }),
    );
    for (let turn = 0; left > 0; turn += 1) {
      assert.ok(turn < 5_000, "a lookup is never answered");
      await new Promise(setImmediate);
      this.clock.advance(10);
    }
    return answers;
  }
}

function makeFault(fault: Fault, mayHang: boolean): Answer | Promise<Answer> {
  switch (fault) {
    case "answers failed":
      return { kind: "failed", reason: "of the key" };
    case "answers failed of itself":
      return { kind: "failed", reason: "of the source", scope: "source" };
    case "throws":
      throw new Error("thrown");
    case "rejects":
      return Promise.reject(new TableFailure("rejected"));
    case "hangs":
      return mayHang ? new Promise(() => {}) : Promise.reject(new Error("not this one"));
    case "fails late":
      return new Promise((resolve) => setImmediate(() => resolve({ kind: "failed", reason: "late" })));
  }
}

interface Question {
  readonly name: string;
  readonly face: "exact" | "ruled";
  readonly key: string;
}

const question = fc.record({ at: fc.nat(), face: fc.constantFrom("exact" as const, "ruled" as const), key: word });

test("no failure anywhere in a table ever becomes absent, nor another answer", async () => {
  const seen = { absent: 0, found: 0, failed: 0, saved: 0 };
  await fc.assert(
    fc.asyncProperty(
      world,
      fc.array(question, { minLength: 1, maxLength: 6 }),
      fc.array(fc.constantFrom(0, 20, 500, 5_000), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (given, asked, pausesMs, isWarm) => {
        const names = [...given.configured.keys()];
        const questions = asked.map(({ at, face, key }) => ({ name: names[at % names.length] ?? "t0", face, key }));
        const healthy = await new Run(given).askAll(questions);
        // So few slots that some wait in vain without any trouble: then the breaker may open by that alone.
        fc.pre(healthy.every(({ kind }) => kind !== "failed"));
        const run = new Run(given);
        if (isWarm) assert.deepEqual(await run.askAll(questions), healthy);
        run.isFaulty = true;
        for (const pauseMs of pausesMs) {
          run.clock.advance(pauseMs);
          for (const [at, answer] of (await run.askAll(questions)).entries()) {
            seen[answer.kind] += 1;
            if (answer.kind !== "failed") assert.deepEqual(answer, healthy[at]);
          }
        }
        // And when the trouble is over, everything is as it was.
        run.isFaulty = false;
        run.clock.advance(10_000);
        await run.askAll(questions);
        run.clock.advance(10_000);
        assert.deepEqual(await run.askAll(questions), healthy);
      },
    ),
    { numRuns: 400 },
  );
  // A test that sees no failures, or nothing else, proves nothing.
  for (const kind of ["absent", "found", "failed"] as const) assert.ok(seen[kind] > 100, `${kind}: ${seen[kind]}`);
});
