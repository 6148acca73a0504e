import { formatUnits, type Curve, type GrowthPoint } from "../growth/growth.ts";
import type { Soak, SoakSample } from "../soak/soak.ts";
import { drawLineChart, type Panel } from "./line-chart.ts";
import { markdownTable } from "./markdown.ts";

/** Later than this, deliveries would wait for each other. */
const EVENT_LOOP_AIM_MS = 10;

/** Throughput above, the event loop's delay below. */
export function drawCurve({ name, title, xLabel, unit, points }: Curve): string {
  const ours = { name: "mailshunt", points: points.map(({ x, unitsPerSecond }) => ({ x, y: unitsPerSecond })) };
  const haproxy = points.flatMap(({ x, haproxyUnitsPerSecond: y }) => (y === undefined ? [] : [{ x, y }]));
  const throughput: Panel = {
    yLabel: unit === "bytes" ? "MB per second" : `${unit} per second`,
    formatY: (value) => short(unit === "bytes" ? value / 1e6 : value),
    series: haproxy.length === 0 ? [ours] : [ours, { name: "HAProxy", points: haproxy }],
  };
  return drawLineChart({
    title: `${title}: throughput and event-loop delay`,
    xLabel,
    xScale: name === "workers" ? "linear" : "log",
    formatX: name === "size" ? bytes : short,
    panels: [throughput, delayPanel(points)],
  });
}

export const growthTable = ({ name, unit, points }: Curve): string =>
  markdownTable(
    [HEADINGS[name], "throughput", "HAProxy", "p99 of a message", "CPU µs/message", "peak memory", "event loop p99"],
    points.map((point) => [
      name === "size" ? bytes(point.x) : point.x.toLocaleString("en"),
      formatUnits(point.unitsPerSecond, unit),
      point.haproxyUnitsPerSecond === undefined ? "–" : formatUnits(point.haproxyUnitsPerSecond, unit),
      `${point.p99Ms.toFixed(1)} ms`,
      point.cpuMicrosPerMessage.toFixed(0),
      `${(point.peakBytes / 1e6).toFixed(0)} MB`,
      `${point.eventLoopP99Ms.toFixed(1)} ms`,
    ]),
  );

const HEADINGS: Record<Curve["name"], string> = {
  sessions: "sessions",
  recipients: "recipients",
  backends: "backends",
  directory: "users",
  workers: "workers",
  size: "size",
};

export function drawSoak({ samples }: Soak): string {
  const series = (name: string, of: (sample: SoakSample) => number): Panel["series"] => [
    { name, points: samples.map((sample) => ({ x: sample.minutes, y: of(sample) })) },
  ];
  const dotted = { isDotted: true, formatY: short };
  return drawLineChart({
    title: "Soak: memory and descriptors after each turn of traffic",
    xLabel: "minutes",
    xScale: "linear",
    formatX: short,
    panels: [
      { yLabel: "MB resident", ...dotted, series: series("memory", ({ residentBytes }) => residentBytes / 1e6) },
      { yLabel: "open descriptors", ...dotted, series: series("descriptors", ({ descriptors }) => descriptors) },
    ],
  });
}

function delayPanel(points: readonly Pick<GrowthPoint, "x" | "eventLoopP99Ms">[]): Panel {
  return {
    yLabel: "event-loop delay p99, ms",
    formatY: short,
    series: [{ name: "mailshunt", points: points.map(({ x, eventLoopP99Ms: y }) => ({ x, y })) }],
    aim: { y: EVENT_LOOP_AIM_MS, name: "aim" },
  };
}

/** As 1,500 is 1.5 k. */
function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toFixed(1))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toFixed(1))} k`;
  return value >= 1_000 ? value.toLocaleString("en") : String(Number(value.toFixed(2)));
}

const bytes = (value: number): string => (value >= 1e6 ? `${value / 1e6} MB` : `${value / 1e3} KB`);
