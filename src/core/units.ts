/** Durations and sizes as they stand in files and on command lines: a whole number and its unit, `45s`, `50MB`. */
export type Parsed<Value> =
  | { readonly kind: "ok"; readonly value: Value }
  | { readonly kind: "bad"; readonly reason: string };

export const ok = <Value>(value: Value): Parsed<Value> => ({ kind: "ok", value });
export const bad = (reason: string): Parsed<never> => ({ kind: "bad", reason });

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["KB", 1000],
  ["KiB", 1024],
  ["MB", 1000 ** 2],
  ["MiB", 1024 ** 2],
  ["GB", 1000 ** 3],
  ["GiB", 1024 ** 3],
]);

/** The longest delay a Node timer can count, in ms; a longer one would fire at once. */
export const MAX_DURATION_MS = 2 ** 31 - 1;

/** @param likelyUnit the unit to suggest to someone who wrote none */
export function parseDuration(text: string, likelyUnit = "s"): Parsed<number> {
  const parsed = parseQuantity(text, "duration", DURATION_UNITS, likelyUnit, "500ms, 45s, 15m, 2h or 1d");
  if (parsed.kind === "ok" && parsed.value > MAX_DURATION_MS)
    return bad(`"${text}" is too long: a duration is at most 24d`);
  return parsed;
}

export function parseSize(text: string, likelyUnit = "MB"): Parsed<number> {
  const parsed = parseQuantity(text, "size", SIZE_UNITS, likelyUnit, "512B, 64KiB, 50MB or 2GB");
  if (parsed.kind === "ok" && !Number.isSafeInteger(parsed.value)) return bad(`"${text}" is too large`);
  return parsed;
}

function parseQuantity(
  text: string,
  what: string,
  units: ReadonlyMap<string, number>,
  likelyUnit: string,
  examples: string,
): Parsed<number> {
  const match = /^(\d{1,16})\s*([A-Za-z]*)$/.exec(text);
  if (match === null) return bad(`expected a ${what} such as ${examples}, got "${text}"`);
  const [, digits = "", unit = ""] = match;
  const others = [...units.keys()].filter((name) => name !== likelyUnit).join(", ");
  if (unit === "")
    return bad(`a ${what} carries its unit: "${digits}" is probably ${digits}${likelyUnit} (other units: ${others})`);
  const factor = units.get(unit);
  if (factor !== undefined) return ok(Number(digits) * factor);
  const likely = [...units.keys()].find((name) => name.toLowerCase() === unit.toLowerCase());
  return bad(
    likely === undefined
      ? `"${unit}" is no unit of a ${what}: expected one such as ${examples}`
      : `"${unit}" is no unit of a ${what}: did you mean ${digits}${likely}?`,
  );
}

export const formatDuration = (ms: number): string => formatQuantity(ms, DURATION_UNITS);
export const formatSize = (bytes: number): string => formatQuantity(bytes, SIZE_UNITS);

/** In the largest unit that needs no fraction. */
function formatQuantity(amount: number, units: ReadonlyMap<string, number>): string {
  const bySize = [...units].sort(([, a], [, b]) => b - a);
  const fitting = bySize.find(([, factor]) => amount >= factor && amount % factor === 0) ?? bySize.at(-1);
  const [unit, factor] = fitting ?? ["", 1];
  return `${amount / factor}${unit}`;
}
