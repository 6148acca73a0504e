import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricsJson } from "../observe/metrics.ts";
import { KeptCounters } from "./kept-counters.ts";

const metrics = (sent: number, deferred: number): MetricsJson =>
  [
    {
      name: "recipients_total",
      help: "Recipients.",
      type: "counter",
      aggregator: "sum",
      values: [
        { value: sent, labels: { result: "sent" } },
        { value: deferred, labels: { result: "deferred" } },
      ],
    },
    { name: "connections", help: "Clients.", type: "gauge", aggregator: "sum", values: [{ value: 7, labels: {} }] },
  ] as unknown as MetricsJson;

const valuesOf = (of: MetricsJson): unknown => of.map(({ name, values }) => [name, values.map(({ value }) => value)]);

test("what workers had counted stays when they end, and what is only so now does not", () => {
  const kept = new KeptCounters<string>();
  assert.deepEqual(kept.note("a", undefined), []);
  kept.note("a", metrics(3, 1));
  kept.note("b", metrics(10, 0));
  assert.deepEqual(valuesOf(kept.note("a", undefined)), [
    ["recipients_total", [3, 1]],
    ["connections", [7]],
  ]);
  kept.end("a");
  kept.end("never asked");
  assert.deepEqual(valuesOf(kept.ended), [["recipients_total", [3, 1]]]);
  kept.note("b", metrics(12, 5));
  kept.end("b");
  assert.deepEqual(valuesOf(kept.ended), [["recipients_total", [15, 6]]]);
  assert.deepEqual(kept.note("a", undefined), []);
});
