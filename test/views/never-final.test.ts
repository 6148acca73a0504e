import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeAnswer } from "../../src/protocols/auth-http/answer.ts";
import { toAuthAnswer } from "../../src/servers/auth-http/auth-http-server.ts";
import type { Answer } from "../../src/tables/table.ts";
import { PASSDB_SERVICES, ROUTING_VIEWS } from "../../src/tables/views.ts";
import { found, see } from "./seen.ts";

/** What tables, directory, locks and names may say of a user, and how late. */
const scenes = fc.record({
  answer: fc.constantFrom<Answer>(
    found("old"),
    found("new"),
    found("nowhere"),
    found("hold"),
    found("refuse"),
    found(""),
    { kind: "absent" },
    { kind: "failed", reason: "down" },
    { kind: "failed", reason: "down", scope: "source" },
  ),
  isLate: fc.boolean(),
  directory: fc.constantFrom("none", "empty", "old", "nowhere", "held", "broken"),
  isLocked: fc.boolean(),
  names: fc.constantFrom("numeric", "late", "failing"),
  fallback: fc.constantFrom(undefined, "old", "refuse"),
  unknown: fc.constantFrom("defer", "reject"),
});

type SceneOf<Property> = Property extends fc.Arbitrary<infer Value> ? Value : never;
type GivenScene = SceneOf<typeof scenes>;

function build({ answer, isLate, directory, isLocked, names, fallback, unknown }: GivenScene) {
  const seen = see(
    {
      users: () => (isLate ? Promise.resolve(answer) : answer),
      locked: new Set(isLocked ? ["ada"] : []),
      resolve: (host) => {
        if (names === "failing") return { kind: "failed", reason: "no such name" };
        return names === "late" ? Promise.resolve({ kind: "found", ip: "10.0.0.2" }) : { kind: "found", ip: host };
      },
      directory:
        directory === "none"
          ? undefined
          : {
              find() {
                if (directory === "broken") throw new Error("the disk is gone");
                const holds = directory === "held" ? [{ owner: "me", reason: "" }] : [];
                return { backend: ["empty", "held"].includes(directory) ? undefined : directory, holds };
              },
            },
    },
    { unknown, ...(fallback === undefined ? {} : { fallback }) },
  );
  /** Only these may end in something final: everything that was asked said so. */
  const isKnownToDirectory = directory === "old" || directory === "nowhere";
  const isAbsent = answer.kind === "absent";
  const isRefused = (answer.kind === "found" && answer.value === "refuse") || (isAbsent && fallback === "refuse");
  const mayBeFinal =
    directory !== "broken" && !isKnownToDirectory && (isRefused || (isAbsent && fallback === undefined));
  return { ...seen, mayBeFinal };
}

const FINAL = /AUTHENTICATIONFAILED|CONTACTADMIN|\[AUTH\]|SYS\/PERM|535|525/;

test("no failure becomes a final answer of a view", async () => {
  await fc.assert(
    fc.asyncProperty(
      scenes,
      fc.constantFrom(...ROUTING_VIEWS),
      fc.constantFrom(...PASSDB_SERVICES),
      async (scene, as, service) => {
        const { ask, mayBeFinal } = build(scene);
        const answer = await ask({ as, ...(as === "passdb" ? { service } : {}) }, "ada@example.com");
        const isFinal = answer.kind === "absent" || (answer.kind === "found" && /^error:|nologin/.test(answer.value));
        if (isFinal) assert.ok(mayBeFinal, JSON.stringify(answer));
      },
    ),
    { numRuns: 5_000 },
  );
});

test("no failure becomes a final refusal of a login", async () => {
  await fc.assert(
    fc.asyncProperty(scenes, fc.constantFrom("imap", "pop3", "submission"), async (scene, service) => {
      const { viewing, mayBeFinal } = build(scene);
      const reached = await viewing.findLogin(service, "ada@example.com");
      const bytes = encodeAnswer(service, toAuthAnswer(reached)).toString();
      if (FINAL.test(bytes)) assert.ok(mayBeFinal, bytes);
      if (scene.isLocked) assert.doesNotMatch(bytes, /Auth-Status: OK/);
    }),
    { numRuns: 5_000 },
  );
});
