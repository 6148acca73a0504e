import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkGoals, rateRatio, toRow, type MailRow, type ScenarioRows } from "../../bench/mail/rows.ts";
import { drawBarChart } from "../../bench/report/bar-chart.ts";
import { drawLineChart } from "../../bench/report/line-chart.ts";
import { markdownTable, replaceSection } from "../../bench/report/markdown.ts";
import { linearScale, logScale } from "../../bench/report/scale.ts";
import { describeSoak, type SoakSample } from "../../bench/soak/soak.ts";

describe("scales", () => {
  const cases = [
    { greatest: 10, ticks: [0, 2, 4, 6, 8, 10] },
    { greatest: 7, ticks: [0, 2, 4, 6, 8] },
    { greatest: 0.6, ticks: [0, 0.2, 0.4, 0.6] },
    { greatest: 48_000, ticks: [0, 10_000, 20_000, 30_000, 40_000, 50_000] },
    { greatest: 0, ticks: [0] },
  ];
  for (const { greatest, ticks } of cases)
    test(`linear to ${greatest}`, () => {
      const scale = linearScale(greatest, { from: 100, to: 300 });
      assert.deepEqual(scale.ticks.slice(0, ticks.length), ticks);
      assert.equal(scale.at(0), 100);
      assert.equal(Math.round(scale.at(scale.ticks.at(-1) ?? 0)), 300);
    });

  test("upwards: greater values are nearer to the top", () => {
    const scale = linearScale(10, { from: 200, to: 0 });
    assert.deepEqual([0, 5, 10].map(scale.at), [200, 100, 0]);
  });

  test("logarithmic: each power of ten is as wide", () => {
    const scale = logScale([1, 3, 1_000], { from: 0, to: 300 });
    assert.deepEqual(scale.ticks, [1, 10, 100, 1_000]);
    assert.deepEqual(
      [1, 10, 100, 1_000].map((value) => Math.round(scale.at(value))),
      [0, 100, 200, 300],
    );
  });

  test("logarithmic: the greatest value has a tick of its own where there is room", () => {
    assert.deepEqual(logScale([1, 50], { from: 0, to: 300 }).ticks, [1, 10, 50]);
    assert.deepEqual(logScale([1, 20], { from: 0, to: 300 }).ticks, [1, 10]);
  });

  test("logarithmic, with a single value", () => {
    assert.equal(logScale([10], { from: 0, to: 300 }).at(10), 150);
  });
});

describe("charts", () => {
  test("a line goes through its points, and the aim lies where it is", () => {
    const svg = drawLineChart({
      title: "A & B",
      xLabel: "sessions",
      xScale: "log",
      formatX: String,
      panels: [
        {
          yLabel: "messages/s",
          formatY: String,
          series: [{ name: "ours", points: [1, 10, 100].map((x) => ({ x, y: x })) }],
          aim: { y: 50, name: "aim" },
        },
      ],
    });
    // 96 to 728 pixels across, 237 to 67 up, for 0 to 100.
    assert.match(svg, /<polyline class="line s0" points="96,235\.3 412,220 728,67"\/>/);
    assert.match(svg, /<line class="aim" x1="84" x2="740" y1="152" y2="152"\/>/);
    assert.match(svg, /<title>A &amp; B<\/title>/);
    assert.match(svg, /prefers-color-scheme:dark/);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  });

  test("bars are as long as their values, and what was not measured has none", () => {
    const svg = drawBarChart({
      title: "bars",
      seriesNames: ["one", "two"],
      groups: [{ name: "group", values: [2, undefined] }],
      format: String,
      mark: 1,
    });
    // 250 to 696 pixels for 0 to 2.
    assert.match(svg, /<rect class="c0" x="250" y="73" width="446" height="11" rx="2"\/>/);
    assert.match(svg, /<line class="aim" x1="473" x2="473"/);
    assert.equal(svg.match(/<rect class="c1"/g)?.length, 1, "only the one beside the name");
  });
});

const row = (peer: MailRow["peer"], rates: readonly number[], more: Partial<MailRow> = {}): MailRow => ({
  peer,
  rates,
  cpuMicros: undefined,
  peakBytes: undefined,
  fault: undefined,
  ...more,
});

describe("rows", () => {
  const rows = [
    row("haproxy", [100, 50, 100]),
    row("dovecot", [10, 5, 10]),
    row("mailshunt", [80, 40, 90], { peakBytes: 131e6 }),
  ];
  const scenario: ScenarioRows = {
    name: "small",
    tools: "",
    isSmall: true,
    goals: { haproxyAtMost: 1.2, dovecotAtLeast: 8 },
    rows,
  };

  test("a ratio is the median of each round's", () => {
    assert.equal(rateRatio(rows, "mailshunt", "haproxy"), 0.8);
    assert.equal(rateRatio(rows, "mailshunt", "nginx"), undefined);
  });

  test("goals are for time, so that less than HAProxy's messages per second is more time", () => {
    assert.deepEqual(
      checkGoals(scenario).map(({ what, reached, isMet }) => [what, reached, isMet]),
      [
        ["haproxy", 1.25, false],
        ["dovecot", 8, true],
        ["memory", 131e6, false],
      ],
    );
  });

  test("a round that failed is the row's fault, and gives no ratio", () => {
    const sent = { messages: 1, recipients: 1, seconds: 1 };
    const good = { kind: "done", sent, messagesPerSecond: 1, cpuMicrosPerMessage: 3 } as const;
    const failed = toRow("haproxy", [{ kind: "failed", reason: "1 of 2 recipients arrived" }, good], undefined);
    assert.equal(failed.fault, "1 of 2 recipients arrived");
    assert.deepEqual(failed.rates, [1]);
    assert.equal(failed.cpuMicros, 3);
    assert.equal(rateRatio([failed, row("mailshunt", [1])], "mailshunt", "haproxy"), undefined);
  });
});

describe("a soak", () => {
  const sample = (minutes: number, residentBytes: number, descriptors: number): SoakSample => ({
    minutes,
    residentBytes,
    descriptors,
    eventLoopP99Ms: 1,
  });
  const soakOf = (memory: readonly number[], descriptors: readonly number[]) => ({
    minutes: 8,
    messages: 1,
    recipients: 1,
    samples: memory.map((bytes, at) => sample(at + 1, bytes, descriptors[at] ?? 0)),
    fault: undefined,
  });
  const flat = [30, 30, 30, 30, 30, 30, 30, 30];

  test("that warms up and then stays has not grown", () => {
    assert.equal(describeSoak(soakOf([50e6, 90e6, 100e6, 100e6, 101e6, 100e6, 103e6, 102e6], flat)).isGood, true);
  });

  test("that leaks memory has grown", () => {
    const verdict = describeSoak(soakOf([50e6, 60e6, 70e6, 80e6, 90e6, 100e6, 110e6, 120e6], flat));
    assert.equal(verdict.isGood, false);
    assert.match(verdict.text, /memory GREW/);
  });

  test("that leaks descriptors has grown", () => {
    assert.match(describeSoak(soakOf(flat, [30, 40, 50, 60, 70, 80, 90, 100])).text, /descriptors GREW/);
  });
});

describe("the page", () => {
  test("a section is replaced, and what stands around it stays", () => {
    const page = "before\n<!-- bench:mail -->\nold\n<!-- /bench:mail -->\nafter\n";
    const replaced = replaceSection(page, "mail", "new");
    assert.equal(replaced, "before\n<!-- bench:mail -->\n\nnew\n\n<!-- /bench:mail -->\nafter\n");
    assert.equal(replaceSection(replaced, "mail", "new"), replaced);
    assert.throws(() => replaceSection(page, "growth", ""), /no section/);
  });

  test("a table's columns are as wide as their widest cell", () => {
    assert.equal(
      markdownTable(
        ["peer", "CPU"],
        [
          ["haproxy", "9"],
          ["nginx", "1,234"],
        ],
      ),
      "| peer    |   CPU |\n| ------- | ----: |\n| haproxy |     9 |\n| nginx   | 1,234 |",
    );
  });
});
