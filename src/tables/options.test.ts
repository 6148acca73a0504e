import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { faultsOf, toMaps } from "../../test/support/open-type.ts";
import { scriptedType } from "../../test/support/scripted-type.ts";
import type { CommonOptions, TableKind } from "./options.ts";

const typeOf = (kind: TableKind): ReturnType<typeof scriptedType> =>
  scriptedType(kind, () => ({ lookup: () => ({ kind: "absent" }) }));

function read(kind: TableKind, raw: unknown): CommonOptions {
  const type = typeOf(kind);
  return type.toSettings(v.parse(type.schema, toMaps(raw))).common;
}

test("what is not said: no rules and no cache, but a guard for what is remote", () => {
  const nothing = { key: undefined, value: undefined, cache: undefined, guard: undefined };
  assert.deepEqual(read("memory", {}), nothing);
  assert.deepEqual(read("composite", {}), nothing);
  assert.deepEqual(read("remote", {}), {
    ...nothing,
    guard: {
      timeoutMs: 5_000,
      maxInFlight: 100,
      breaker: { failures: 5, minBackoffMs: 1_000, maxBackoffMs: 30_000 },
    },
  });
});

test("a section with nothing in it is one with its defaults", () => {
  const { key, value, cache } = read("remote", { key: null, value: null, cache: null, breaker: null });
  assert.deepEqual(key, { fold: "domain", recipientDelimiter: "", forms: ["address"] });
  assert.deepEqual(value, { jsonPath: undefined, template: undefined });
  assert.deepEqual(cache, { ttlMs: 60_000, absentTtlMs: 10_000, staleIfFailedMs: 0, maxEntries: 100_000 });
});

test("everything said is taken", () => {
  const raw = {
    key: { fold: "all", recipient_delimiter: "+-", try: ["address", "localpart", "@domain", "domain"] },
    value: { json: "quota.bytes", template: "{value}" },
    cache: { ttl: "5m", absent_ttl: "0s", stale_if_failed: "1h", max_entries: "10" },
    timeout: "500ms",
    max_in_flight: "3",
    breaker: { failures: "1", min_backoff: "2s", max_backoff: "1m" },
  };
  assert.deepEqual(read("remote", raw), {
    key: { fold: "all", recipientDelimiter: "+-", forms: ["address", "localpart", "@domain", "domain"] },
    value: { jsonPath: ["quota", "bytes"], template: "{value}" },
    cache: { ttlMs: 300_000, absentTtlMs: 0, staleIfFailedMs: 3_600_000, maxEntries: 10 },
    guard: {
      timeoutMs: 500,
      maxInFlight: 3,
      breaker: { failures: 1, minBackoffMs: 2_000, maxBackoffMs: 60_000 },
    },
  });
});

const NO_DURATION = "expected a duration such as 500ms, 45s, 15m, 2h or 1d";

/** Of a remote table, which may have all of them. */
const faults: readonly (readonly [raw: unknown, ...faults: string[]])[] = [
  [{ key: "all" }, "key: expected a mapping of fold, recipient_delimiter, try, got text"],
  [{ key: { fold: "lower" } }, 'key.fold: expected none or domain or all, got "lower"'],
  [{ key: { strip: "+" } }, 'key.strip: unknown key "strip": known are fold, recipient_delimiter, try'],
  [
    { key: { recipient_delimiter: "plus" } },
    'key.recipient_delimiter: a recipient delimiter is one or more characters such as "+", but no letter, digit, blank, "@", "." or quote',
  ],
  [{ key: { try: "address" } }, "key.try: expected a list, such as [address, localpart, '@domain', domain], got text"],
  [{ key: { try: [] } }, "key.try: there must be one form at least: without it nothing would ever be found"],
  [{ key: { try: null } }, "key.try: there must be one form at least: without it nothing would ever be found"],
  [
    { key: { try: ["address", "local_part", "user"] } },
    'key.try.1: expected address or localpart or @domain or domain, got "local_part"; did you mean "localpart"?',
    'key.try.2: expected address or localpart or @domain or domain, got "user"',
  ],
  [{ value: "mail.host" }, "value: expected a mapping of json, template, got text"],
  [{ value: { jsonpath: "host" } }, 'value.jsonpath: unknown key "jsonpath": known are json, template'],
  [{ value: { json: ["a"] } }, "value.json: expected names of members joined by dots, such as quota.bytes, got a list"],
  [
    { value: { json: "a..b" } },
    'value.json: expected names of members joined by dots, such as quota.bytes, got "a..b"',
  ],
  [
    { value: { template: "{user}@{domain}" } },
    'value.template: there is no placeholder "{user}": known are {value}, {key}, {localpart} and {domain}',
  ],
  [{ value: { template: "" } }, "value.template: the template is empty: every value would be"],
  [{ cache: "60s" }, "cache: expected a mapping of ttl, absent_ttl, stale_if_failed, max_entries, got text"],
  [{ cache: { ttl: "60" } }, 'cache.ttl: a duration carries its unit: "60" is probably 60s (other units: ms, m, h, d)'],
  [{ cache: { absent_ttl: "never" } }, `cache.absent_ttl: ${NO_DURATION}, got "never"`],
  [
    { cache: { stale: "1h" } },
    'cache.stale: unknown key "stale": known are ttl, absent_ttl, stale_if_failed, max_entries',
  ],
  [{ cache: { max_entries: "0" } }, "cache.max_entries: must be from 1 to 100000000, is 0"],
  [{ cache: { max_entries: "10k" } }, 'cache.max_entries: expected a whole number from 1 to 100000000, got "10k"'],
  [{ timeout: "0s" }, "timeout: must be at least 1ms"],
  [{ timeout: null }, "timeout: there is no value"],
  [{ timeuot: "5s" }, 'timeuot: unknown key "timeuot"; did you mean "timeout"?'],
  [{ maxInFlight: "5" }, 'maxInFlight: unknown key "maxInFlight"; did you mean "max_in_flight"?'],
  [{ max_in_flight: "0" }, "max_in_flight: must be from 1 to 100000, is 0"],
  [{ breaker: "off" }, "breaker: expected a mapping of failures, min_backoff, max_backoff, got text"],
  [{ breaker: { failures: "0" } }, "breaker.failures: must be from 1 to 1000000, is 0"],
  [{ breaker: { min_backoff: "1m" } }, "breaker: min_backoff is 1m, longer than max_backoff, 30s"],
  [{ breaker: { max_backoff: "500ms" } }, "breaker: min_backoff is 1s, longer than max_backoff, 500ms"],
];
for (const [raw, ...wanted] of faults)
  test(`a fault: ${JSON.stringify(raw)}`, () => assert.deepEqual(faultsOf(typeOf("remote"), raw), wanted));

test("what another kind of table has is said to mean nothing here", () => {
  for (const key of ["cache", "timeout", "max_in_flight", "breaker"])
    assert.deepEqual(faultsOf(typeOf("memory"), { [key]: "5s" }), [
      `${key}: "${key}" means nothing here: this table answers from memory`,
    ]);
  for (const key of ["timeout", "max_in_flight", "breaker"])
    assert.deepEqual(faultsOf(typeOf("composite"), { [key]: "5s" }), [
      `${key}: "${key}" means nothing here: this table asks others, which have their own`,
    ]);
});
