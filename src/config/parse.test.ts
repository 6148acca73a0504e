import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatFault } from "./format-fault.ts";
import { parseConfig } from "./parse.ts";

const OWN = `version: 1
process: { user: mailshunt, shutdown_timeout: 30s }
log: { to: syslog, level: debug }
listeners:
  - protocol: lmtp
    address: "unix:/run/lmtp"
    permissions: "0660"
    trusted_networks: [10.0.0.0/8]
backends:
  old: &old
    lmtp: "unix:/store"
    user: proxy
    password: hunter2
  new: { <<: *old, lmtp: "10.0.0.2:24", password: "hunter2, }" }
tables:
  users:
    type: static
    entries:
      user1: old
      user2: hold
routing: { tables: [users], fallback: new }
lmtp: { max_message_size: 50MB, newlines: reject }
`;
const OLD = `config:
  socket: [127.0.0.1, 10025]
  ignoreDomain: True
  fallback_backend: store
backends:
  store: { host: localhost, port: 24, user: admin, password: hunter2 }
  other:
    socket: /store
    user: admin
    password: hunter2
users:
  user1: store
  user2: reject
`;

const pieces = fc.oneof(
  fc.constantFrom(
    ..."\n \t:-#[]{},&*!|>'\"%@`\\?~\r\0\u0085\ufeff0",
    "\n  ",
    "\n    ",
    ": ",
    "- ",
    "<<: *old\n",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "null",
    "{}",
    "[]",
    "hold",
    "reject",
    "__proto__: x\n",
    "version: 1\n",
    "users:\n  a: b\n",
    "999999999999999999999",
  ),
  fc.string({ unit: "binary", maxLength: 3 }),
);

interface Edit {
  readonly at: number;
  readonly removed: number;
  readonly inserted: string;
}
const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({ at: fc.nat(OWN.length), removed: fc.oneof(fc.nat(3), fc.nat(40)), inserted: pieces }),
  { minLength: 1, maxLength: 4 },
);

test("no damage to a file makes the loader throw, and every fault has its place", () => {
  fc.assert(
    fc.property(fc.constantFrom(OWN, OLD), edits, (base, damage) => {
      let text = base;
      for (const { at, removed, inserted } of damage) text = text.slice(0, at) + inserted + text.slice(at + removed);
      const result = parseConfig({ path: "f", text }, undefined);
      const faults = result.kind === "faulty" ? result.faults : result.warnings;
      if (result.kind === "faulty") assert.ok(faults.some(({ severity }) => severity === "error"));
      const lineCount = text.split(/\r\n|[\r\n]/).length;
      for (const [index, fault] of faults.entries()) {
        assert.ok(fault.line >= (faults[index - 1]?.line ?? 1) && fault.line <= lineCount, JSON.stringify(fault));
        assert.ok(fault.column >= 1 && fault.caretColumn >= 1 && fault.caretColumn <= [...fault.sourceLine].length + 1);
      }
    }),
    { numRuns: 3000 },
  );
});

const oddLines = fc.constantFrom(
  "{",
  "}",
  "]",
  '"',
  "x: [",
  "  x: |",
  "    x: >",
  "- x",
  "\tx",
  "x",
  "  y: &a",
  "  z: *b",
  "version: 1",
  "users:",
  "%",
  "---",
  "    pass",
);

test("no line added or lost elsewhere makes a fault show a password", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(OWN, OLD),
      fc.array(fc.record({ at: fc.nat(25), removed: fc.nat(1), inserted: fc.array(oddLines, { maxLength: 2 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      (base, damage) => {
        const lines = base.split("\n");
        for (const { at, removed, inserted } of damage) {
          const isSecret = lines[at]?.includes("hunter2") === true;
          lines.splice(at, isSecret ? 0 : removed, ...inserted);
        }
        const result = parseConfig({ path: "f", text: lines.join("\n") }, undefined);
        const faults = result.kind === "faulty" ? result.faults : result.warnings;
        for (const fault of faults) assert.doesNotMatch(formatFault(fault), /hunter2/);
      },
    ),
    { numRuns: 3000 },
  );
});
