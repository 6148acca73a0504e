/** `3.2 s`, `4 min`: the largest unit is enough for a reader. */
export function formatAge(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_570_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 86_220_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} d`;
}

/** In local time, as people read their clocks; without the date where that is today's. */
export function formatTime(iso: string, now = new Date()): string {
  const at = new Date(iso);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
  return formatDay(at) === formatDay(now) ? time : `${formatDay(at)} ${time}`;
}

const formatDay = (at: Date): string =>
  `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`;

const twoDigits = (part: number): string => String(part).padStart(2, "0");

/** `1 session`, `2 sessions`; with `plural` where that is another word. */
export const count = (amount: number, word: string, plural = `${word}s`): string =>
  `${amount} ${amount === 1 ? word : plural}`;

/** Columns as wide as they need, two blanks between, none at the end. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(cell));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => pad(cell, widths[at] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** Every character one column: right for the scripts in which most addresses are. */
const widthOf = (text: string): number => [...text.normalize("NFC")].length;

const pad = (cell: string, width: number): string => cell + " ".repeat(Math.max(0, width - widthOf(cell)));

/** What others have written, as a terminal may show it. */
export const shown = (text: string): string => text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
