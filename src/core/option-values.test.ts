import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { section, withDefault, required, list } from "./option-schema.ts";
import type { OptionSchema } from "./option-schema.ts";
import {
  absolutePath,
  address,
  choice,
  count,
  flag,
  network,
  permissions,
  remoteAddress,
  size,
  sizeOrUnlimited,
} from "./option-values.ts";
import { secret } from "./secret.ts";

function read(schema: OptionSchema<unknown>, raw: unknown): unknown {
  const result = v.safeParse(schema, raw);
  return result.success ? result.output : result.issues.map((issue) => issue.message).join("\n");
}

const good: readonly [string, OptionSchema<unknown>, string, unknown][] = [
  ["permissions", permissions(), "0660", 0o660],
  ["permissions", permissions(), "660", 0o660],
  ["permissions", permissions(), "0o660", 0o660],
  ["a network", network(), "10.0.0.0/8", "10.0.0.0/8"],
  ["a network of one address", network(), "192.0.2.1", "192.0.2.1/32"],
  ["a network of one v6 address", network(), "::1", "::1/128"],
  ["a flag", flag(), "Yes", true],
  ["a flag", flag(), "off", false],
  ["a count", count(1, 5), "5", 5],
  ["no limit", sizeOrUnlimited(1), "unlimited", undefined],
  ["a path", absolutePath(), "/run/x", "/run/x"],
  ["a v6 address", address(), "[::1]:24", { kind: "tcp", host: "::1", port: 24 }],
  ["a v6 address with a zone", address(), "[fe80::1%eth0]:24", { kind: "tcp", host: "fe80::1%eth0", port: 24 }],
  ["a port that the system chooses", address(), "127.0.0.1:0", { kind: "tcp", host: "127.0.0.1", port: 0 }],
  ["an address elsewhere", remoteAddress(), "127.0.0.1:1", { kind: "tcp", host: "127.0.0.1", port: 1 }],
  ["an inline secret", secret(), "0123", { kind: "inline", text: "0123" }],
];
for (const [name, schema, text, value] of good)
  test(`${name}: ${text}`, () => assert.deepEqual(read(schema, text), value));

const wrong: readonly [string, OptionSchema<unknown>, unknown, RegExp][] = [
  ["permissions that are not octal", permissions(), "0680", /octal/],
  ["permissions with too few digits", permissions(), "66", /octal/],
  ["a network with a long prefix", network(), "10.0.0.0/33", /expected a network/],
  ["a network without a prefix length", network(), "10.0.0.0/", /expected a network/],
  ["a host name as a network", network(), "example.com", /expected a network/],
  ["a count below", count(1, 5), "0", /from 1 to 5/],
  ["a count that is text", count(1, 5), "many", /whole number from 1 to 5/],
  ["a list for a scalar", count(1, 5), ["1"], /expected a whole number, 1 to 5, got a list/],
  ["an empty scalar", count(1, 5), null, /there is no value/],
  ["a size below", size({ minBytes: 4096, maxBytes: 8192 }), "1KiB", /at least 4KiB/],
  ["a size above", size({ minBytes: 4096, maxBytes: 8192 }), "1MiB", /at most 8KiB/],
  ["a misspelt choice", choice(["normalize", "reject"]), "normalise", /did you mean "normalize"/],
  ["a v4 address in brackets", address(), "[127.0.0.1]:24", /in brackets stands an IPv6 address/],
  ["colons in brackets", address(), "[:::::]:24", /in brackets stands an IPv6 address/],
  ["a name in brackets", address(), "[abc]:1", /in brackets stands an IPv6 address/],
  ["a port that nobody can connect to", remoteAddress(), "127.0.0.1:0", /a port is at least 1/],
  ["a relative path", absolutePath(), "run/x", /absolute path/],
  [
    "a secret of an unknown kind",
    secret(),
    new Map([["vault", "x"]]),
    /^expected text, \{ file: \/path \} or \{ env: NAME \}$/,
  ],
  [
    "a secret of two kinds",
    secret(),
    new Map([
      ["file", "/x"],
      ["env", "X"],
    ]),
    /^expected text/,
  ],
  ["a relative secret file", secret(), new Map([["file", "x"]]), /absolute path/],
];
for (const [name, schema, raw, reason] of wrong)
  test(`a fault: ${name}`, () => assert.match(String(read(schema, raw)), reason));

test("a section reports everything at once, with the path of each", () => {
  const schema = section({
    name: required(choice(["a", "b"]), { description: "" }),
    size: withDefault(count(1, 5), "3", { description: "" }),
    nets: withDefault(list(network(), "[::1]"), () => [], { description: "" }),
  });
  const raw = new Map<string, unknown>([
    ["siez", "4"],
    ["nets", ["::1", "x"]],
    ["constructor", "y"],
  ]);
  const { issues = [] } = v.safeParse(schema, raw);
  assert.deepEqual(
    issues.map(({ message, path = [] }) => [path.map(({ key }) => key).join("."), message]),
    [
      ["siez", 'unknown key "siez"; did you mean "size"?'],
      ["constructor", 'unknown key "constructor": known are name, size, nets'],
      ["", '"name" is missing'],
      ["nets.1", 'expected a network such as 10.0.0.0/8 or fd00::/8, got "x"'],
    ],
  );
});

test("a section fills in defaults, and nothing behind its key is an empty one", () => {
  const schema = section({ size: withDefault(count(1, 5), "3", { description: "" }) });
  assert.deepEqual(read(schema, null), { size: 3 });
});

test("a secret written without its blank is not repeated in the fault", () => {
  const schema = section({ password: required(secret(), { description: "" }) });
  assert.doesNotMatch(String(read(schema, new Map([["password:hunter2", null]]))), /hunter2/);
});
