import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, formatSize, MAX_DURATION_MS, parseDuration, parseSize } from "./units.ts";
import type { Parsed } from "./units.ts";

const valueOf = (parsed: Parsed<number>): number | string => (parsed.kind === "ok" ? parsed.value : parsed.reason);

const durations: readonly [string, number][] = [
  ["500ms", 500],
  ["45s", 45_000],
  ["15m", 900_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
  ["0s", 0],
  ["10 s", 10_000],
];
for (const [text, ms] of durations)
  test(`the duration ${text} is ${ms} ms`, () => assert.equal(valueOf(parseDuration(text)), ms));

const sizes: readonly [string, number][] = [
  ["0B", 0],
  ["512B", 512],
  ["64KB", 64_000],
  ["64KiB", 65_536],
  ["50MB", 50_000_000],
  ["50MiB", 52_428_800],
  ["2GB", 2_000_000_000],
  ["1GiB", 1_073_741_824],
];
for (const [text, bytes] of sizes)
  test(`the size ${text} is ${bytes} bytes`, () => assert.equal(valueOf(parseSize(text)), bytes));

const faults: readonly [string, Parsed<number>, RegExp][] = [
  ["a bare number of seconds", parseDuration("30"), /^a duration carries its unit: "30" is probably 30s/],
  ["a bare number of bytes", parseSize("50"), /^a size carries its unit: "50" is probably 50MB/],
  ["a unit in the wrong case", parseSize("50mb"), /did you mean 50MB\?/],
  ["a unit of another kind", parseDuration("5MB"), /"MB" is no unit of a duration/],
  ["a fraction", parseDuration("1.5s"), /^expected a duration such as 500ms, 45s/],
  ["a negative number", parseDuration("-5s"), /^expected a duration/],
  ["nothing", parseSize(""), /^expected a size/],
  ["two units", parseDuration("1h30m"), /^expected a duration/],
  ["more than a timer can count", parseDuration("25d"), /at most 24d/],
  ["more than a number can count", parseSize("9999999999999999GB"), /too large/],
];
for (const [name, parsed, reason] of faults)
  test(`a fault: ${name}`, () => assert.match(String(valueOf(parsed)), reason));

test("every duration reads back as it was written", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      assert.equal(valueOf(parseDuration(formatDuration(ms))), ms);
    }),
  );
});

test("every size reads back as it was written", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      assert.equal(valueOf(parseSize(formatSize(bytes))), bytes);
    }),
  );
});

test("the largest unit without a fraction is written", () => {
  assert.deepEqual([0, 999, 45_000, 90_000, 3_600_000].map(formatDuration), ["0ms", "999ms", "45s", "90s", "1h"]);
  assert.deepEqual([65_536, 50_000_000, 1000, 1001].map(formatSize), ["64KiB", "50MB", "1KB", "1001B"]);
});
