import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import fc from "fast-check";
import { openPacked } from "../packed/packed-table.ts";
import { writeOwnFormat } from "./convert.ts";
import { parseConfig } from "./parse.ts";
import type { ReadResult } from "./parse.ts";

const GOLDEN = join(import.meta.dirname, "../../test/golden/convert");

function convert(path: string, text: string): string {
  const result = parseConfig({ path, text }, undefined);
  assert.ok(result.kind === "read" && result.translation !== undefined, JSON.stringify(result, undefined, 1));
  return [...writeOwnFormat(path, result.translation)].join("");
}

/** The value without its file, tables spelled out. */
function meaning(result: ReadResult): unknown {
  assert.ok(result.kind === "read", JSON.stringify(result, undefined, 1));
  const { source: _source, tables, ...rest } = result.config;
  return {
    ...rest,
    tables: [...tables].map(([name, { type, options }]) => {
      const { packed } = options as { readonly packed: SharedArrayBuffer };
      return { name, type, entries: [...openPacked(packed).entries()] };
    }),
  };
}

function assertRoundTrip(text: string): void {
  const converted = convert("old", text);
  const read = parseConfig({ path: "new", text: converted }, undefined);
  assert.deepEqual(meaning(read), meaning(parseConfig({ path: "old", text }, undefined)));
  const warnings = read.kind === "read" ? read.warnings : [];
  // Entries that match nothing go over as they are.
  assert.deepEqual(
    warnings.filter(({ message }) => !/ can never match: | without a domain: /.test(message)),
    [],
  );
}

suite("conversions", () => {
  for (const name of readdirSync(GOLDEN).filter((file) => file.endsWith(".old.yaml"))) {
    test(name, () => {
      const text = readFileSync(join(GOLDEN, name), "utf8");
      const expectedPath = join(GOLDEN, name.replace(".old.yaml", ".new.yaml"));
      if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(expectedPath, convert(name, text));
      assert.equal(convert(name, text), readFileSync(expectedPath, "utf8"));
      assertRoundTrip(text);
    });
  }
});

const anyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({
    unit: fc.constantFrom(
      "a",
      "0",
      " ",
      ":",
      "#",
      "-",
      "'",
      '"',
      "\\",
      "\n",
      "\t",
      "{",
      "*",
      "&",
      "!",
      "|",
      "\u007f",
      "\u0085",
      "\u2028",
      "\ufeff",
      "𝄞",
    ),
  }),
  fc.constantFrom(
    "no",
    "on",
    "~",
    "null",
    "<<",
    "0660",
    "0x10",
    "1e3",
    "---",
    "...",
    "=",
    "",
    " ",
    "hold",
    "True",
    ".inf",
    "__proto__",
    "constructor",
  ),
);
const word = anyText.filter((text) => text !== "");
const name = word.filter((text) => !/\p{Cc}/u.test(text) && !["hold", "refuse", "reject"].includes(text));

/** JSON is YAML, but for the control characters that YAML wants escaped. */
const toYaml = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const socket = fc.record({ socket: fc.stringMatching(/^\/[a-z0-9./:#-]{0,40}$/) });
const endpoint = fc.oneof(
  socket,
  fc.record({
    host: fc.constantFrom("localhost", "10.0.0.1", "::1", "store.example.com"),
    port: fc.integer({ min: 1, max: 65_535 }),
  }),
);
const backend = fc
  .tuple(endpoint, fc.option(fc.record({ user: word, password: word })))
  .map(([at, login]) => ({ ...at, ...login }));
const backends = fc.uniqueArray(fc.tuple(name, backend), { selector: ([key]) => key, minLength: 1, maxLength: 4 });

const files = backends.chain((stores) => {
  const target = fc.constantFrom("reject", ...stores.map(([key]) => key));
  return fc.record({
    config: fc.record(
      {
        socket: fc.oneof(fc.constant("/run/lmtp"), fc.constant(["::", 24])),
        owner: word,
        group: word,
        permissions: fc.constantFrom("0660", "660", 666, "0o600"),
        ignoreDomain: fc.boolean(),
        fallback_backend: target,
        pid: fc.constant("/run/pid"),
        localPartSuffix: fc.constantFrom("+", "-", "+-", ""),
      },
      { requiredKeys: ["socket"] },
    ),
    backends: fc.constant(Object.fromEntries(stores)),
    users: fc.dictionary(anyText, target),
  });
});

test("whatever a file of lmtp-proxy says, its conversion means the same", () => {
  fc.assert(
    fc.property(files, (file) => assertRoundTrip(toYaml(file))),
    { numRuns: 500 },
  );
});

test("a file in the own format has no translation", () => {
  const text =
    'version: 1\nlisteners: [{ protocol: lmtp, address: "[::1]:24" }]\nbackends: { a: { lmtp: "unix:/a" } }\nrouting: { fallback: a }\n';
  const result = parseConfig({ path: "own", text }, undefined);
  assert.ok(result.kind === "read");
  assert.equal(result.translation, undefined);
});
