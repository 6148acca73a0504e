import { linearScale, logScale, type Scale } from "./scale.ts";
import { element, label, picture, pixels, SERIES_COLOURS } from "./svg.ts";

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** One of the panels that share the x axis. */
export interface Panel {
  readonly yLabel: string;
  readonly formatY: (value: number) => string;
  readonly series: readonly Series[];
  /** A line to stay below. */
  readonly aim?: { readonly y: number; readonly name: string };
  readonly isDotted?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly xScale: "log" | "linear";
  readonly formatX: (value: number) => string;
  readonly panels: readonly Panel[];
}

const WIDTH = 760;
const LEFT = 84;
const RIGHT = 20;
const TOP = 44;
const PANEL_HEIGHT = 170;
/** Between panels: the next one's label and names. */
const GAP = 46;
const BOTTOM = 48;

/** The chart as an SVG file: the same figures give the same bytes. */
export function drawLineChart({ title, xLabel, xScale, formatX, panels }: LineChart): string {
  const xs = panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(({ x }) => x)));
  const span = { from: LEFT + 12, to: WIDTH - RIGHT - 12 };
  const x = xScale === "log" ? logScale(xs, span) : linearScale(Math.max(...xs), span);
  const height = TOP + GAP / 2 + panels.length * (PANEL_HEIGHT + GAP) - GAP + BOTTOM;
  const parts = panels.map((panel, at) => drawPanel(panel, x, TOP + GAP / 2 + at * (PANEL_HEIGHT + GAP)));
  const bottom = height - BOTTOM;
  const xTicks = x.ticks.map((tick) =>
    label(formatX(tick), { x: x.at(tick), y: bottom + 18, "text-anchor": "middle" }),
  );
  return picture(title, WIDTH, height, [
    label(title, { class: "title", x: 20, y: 28 }),
    ...parts,
    ...xTicks,
    label(xLabel, { x: (LEFT + WIDTH - RIGHT) / 2, y: bottom + 37, "text-anchor": "middle" }),
  ]);
}

function drawPanel({ yLabel, formatY, series, aim, isDotted = false }: Panel, x: Scale, top: number): string {
  const ys = series.flatMap(({ points }) => points.map(({ y }) => y));
  const y = linearScale(Math.max(...ys, aim?.y ?? 0), { from: top + PANEL_HEIGHT, to: top });
  const across = (value: number, className: string): string =>
    element("line", { class: className, x1: LEFT, x2: WIDTH - RIGHT, y1: y.at(value), y2: y.at(value) });
  const grid = y.ticks.flatMap((tick) => [
    across(tick, "grid"),
    label(formatY(tick), { x: LEFT - 8, y: y.at(tick) + 4, "text-anchor": "end" }),
  ]);
  const names = [...series.map(({ name }) => name), ...(aim === undefined ? [] : [aim.name])];
  const lines = series.map((each, at) => drawSeries(each, at % SERIES_COLOURS, x, y, isDotted));
  return [
    label(yLabel, { x: 20, y: top - 12, class: "value" }),
    ...drawNames(names, series.length, top - 12),
    ...grid,
    ...(aim === undefined ? [] : [across(aim.y, "aim")]),
    ...lines,
  ].join("\n");
}

function drawSeries({ points }: Series, colour: number, x: Scale, y: Scale, isDotted: boolean): string {
  const places = points.map((point) => [pixels(x.at(point.x)), pixels(y.at(point.y))] as const);
  const line = element("polyline", {
    class: `line s${colour}`,
    points: places.map((place) => place.join(",")).join(" "),
  });
  const dots = places.map(([cx, cy]) => element("circle", { class: `c${colour}`, cx, cy, r: isDotted ? 2 : 3.5 }));
  return [...(isDotted ? [] : [line]), ...dots].join("\n");
}

/** As wide as a letter of the font is on average, in pixels. */
const LETTER = 6.6;

/** From the right, in the line of the panel's label; the last name may be that of the aim. */
function drawNames(names: readonly string[], seriesCount: number, y: number): string[] {
  let right = WIDTH - RIGHT;
  return names
    .map((name, at) => ({ name, at }))
    .reverse()
    .map(({ name, at }) => {
      const start = right - name.length * LETTER;
      right = start - 34;
      const mark = { class: at < seriesCount ? `line s${at % SERIES_COLOURS}` : "aim" };
      return (
        element("line", { ...mark, x1: start - 22, x2: start - 6, y1: y - 4, y2: y - 4 }) + label(name, { x: start, y })
      );
    });
}
