/** From values to places on a chart, in pixels. */
export interface Scale {
  /** Values that get a line and a label. */
  readonly ticks: readonly number[];
  /** Pixels; not held within the chart. */
  at(value: number): number;
}

export interface Span {
  /** Pixels of the least and of the greatest value: the second may be the smaller one, as on an axis that goes upwards. */
  readonly from: number;
  readonly to: number;
}

/** Steps between ticks that people can count in, with their powers of ten. */
const STEPS = [1, 2, 5, 10];
const MOST_TICKS = 5;

/** From 0 to a round number that is not below the greatest value. */
export function linearScale(greatest: number, { from, to }: Span): Scale {
  const rough = (greatest > 0 ? greatest : 1) / MOST_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  // Rounding errors must not make 0.6 / 5 more than 0.1 × 1.2.
  const step = (STEPS.find((each) => each * power >= rough * (1 - 1e-9)) ?? 10) * power;
  const count = Math.max(1, Math.ceil((greatest / step) * (1 - 1e-9)));
  const ticks = Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)));
  const top = count * step;
  return { ticks, at: (value) => from + (value / top) * (to - from) };
}

/** Least distance of the greatest value from the power below it, in powers of ten, at which their labels do not touch. */
const LAST_TICK_DISTANCE = 0.4;

/** Ticks at powers of ten between the least and the greatest value, which stand at the ends. @param values above 0 */
export function logScale(values: readonly number[], { from, to }: Span): Scale {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  const [low, high] = [Math.log10(least), Math.log10(greatest)];
  const powers = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, at) => 10 ** (Math.ceil(low) + at));
  const hasLastTick = high - Math.floor(high) >= LAST_TICK_DISTANCE;
  const width = high - low;
  return {
    ticks: hasLastTick ? [...powers, greatest] : powers,
    at: (value) => (width === 0 ? (from + to) / 2 : from + ((Math.log10(value) - low) / width) * (to - from)),
  };
}
