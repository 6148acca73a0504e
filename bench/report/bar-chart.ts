import { linearScale } from "./scale.ts";
import { element, label, picture, SERIES_COLOURS } from "./svg.ts";

export interface BarGroup {
  readonly name: string;
  /** One for each series; undefined: nothing was measured. */
  readonly values: readonly (number | undefined)[];
}

export interface BarChart {
  readonly title: string;
  readonly seriesNames: readonly string[];
  readonly groups: readonly BarGroup[];
  readonly format: (value: number) => string;
  /** An upright line to compare with. */
  readonly mark: number;
}

const WIDTH = 760;
const LEFT = 250;
const RIGHT = 64;
const TOP = 72;
const BAR = 13;
const GROUP_GAP = 14;
const BOTTOM = 36;

/** Bars that lie, in groups, as an SVG file: the same figures give the same bytes. */
export function drawBarChart({ title, seriesNames, groups, format, mark }: BarChart): string {
  const values = groups.flatMap((group) => group.values.filter((value) => value !== undefined));
  const x = linearScale(Math.max(mark, ...values), { from: LEFT, to: WIDTH - RIGHT });
  const groupHeight = seriesNames.length * BAR + GROUP_GAP;
  const bottom = TOP + groups.length * groupHeight;
  const upright = (value: number, className: string): string =>
    element("line", { class: className, x1: x.at(value), x2: x.at(value), y1: TOP - 6, y2: bottom });
  const drawGroup = ({ name, values: own }: BarGroup, at: number): string => {
    const top = TOP + at * groupHeight;
    const middle = top + (seriesNames.length * BAR) / 2 + 4;
    const bars = own.map((value, series) => {
      if (value === undefined) return "";
      const y = top + series * BAR;
      const place = { x: LEFT, y: y + 1, width: x.at(value) - LEFT, height: BAR - 2, rx: 2 };
      return (
        element("rect", { class: `c${series % SERIES_COLOURS}`, ...place }) +
        label(format(value), { class: "value", x: x.at(value) + 5, y: y + BAR - 3 })
      );
    });
    return [label(name, { class: "value", x: LEFT - 12, y: middle, "text-anchor": "end" }), ...bars].join("\n");
  };
  const names = seriesNames.map((name, at) => {
    const left = LEFT + at * 130;
    return (
      element("rect", { class: `c${at % SERIES_COLOURS}`, x: left, y: 43, width: 12, height: 10, rx: 2 }) +
      label(name, { x: left + 18, y: 52 })
    );
  });
  return picture(title, WIDTH, bottom + BOTTOM, [
    label(title, { class: "title", x: 20, y: 28 }),
    ...names,
    ...x.ticks.map((tick) => upright(tick, "grid")),
    ...x.ticks.map((tick) => label(format(tick), { x: x.at(tick), y: bottom + 20, "text-anchor": "middle" })),
    upright(mark, "aim"),
    ...groups.map(drawGroup),
  ]);
}
