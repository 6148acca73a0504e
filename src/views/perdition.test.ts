import assert from "node:assert/strict";
import { test } from "node:test";
import { toPerditionLine } from "./perdition.ts";

const place = (host: string, port: number) => ({ address: { host, port } });

test("a user is key, host and port", () => {
  assert.deepEqual(toPerditionLine("horms", place("foo.bar", 110)), { kind: "line", line: "horms:foo.bar:110\n" });
  assert.deepEqual(toPerditionLine("ada@example.com", place("10.0.0.5", 143)), {
    kind: "line",
    line: "ada@example.com:10.0.0.5:143\n",
  });
  assert.deepEqual(toPerditionLine("jürgen o'neil", place("h", 1)), { kind: "line", line: "jürgen o'neil:h:1\n" });
});

const skipped = [
  { user: "a:b", host: "h" },
  { user: "a\nb:evil", host: "h" },
  { user: "a\u2028b", host: "h" },
  { user: "#a", host: "h" },
  { user: " a", host: "h" },
  { user: "a ", host: "h" },
  { user: "", host: "h" },
  { user: "a", host: "fd00::1" },
];
for (const { user, host } of skipped)
  test(`${JSON.stringify(user)} at ${host} cannot be said`, () =>
    assert.equal(toPerditionLine(user, place(host, 143)).kind, "skipped"));
