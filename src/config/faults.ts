import type { ConfigFault } from "./config.ts";
import { hideSecrets } from "./mask.ts";
import type { SecretRange } from "./mask.ts";
import { countCharacters, createLocator } from "../yaml/source-text.ts";
import type { Position, SourceText } from "../yaml/source-text.ts";

/** Faults shown of one file, at most; the rest are counted. */
export const MAX_FAULTS = 100;

interface Noted {
  readonly severity: "error" | "warning";
  readonly offset: number;
  readonly message: string;
}

/** Collects what is wrong with a file, in any order. */
export class FaultCollector {
  readonly #errors: Noted[] = [];
  readonly #warnings: Noted[] = [];
  #errorCount = 0;
  #warningCount = 0;

  get hasErrors(): boolean {
    return this.#errorCount > 0;
  }

  error(offset: number, message: string): void {
    // What several aliases share is read several times.
    if (this.#errors.some((noted) => noted.offset === offset && noted.message === message)) return;
    this.#errorCount++;
    if (this.#errors.length < MAX_FAULTS) this.#errors.push({ severity: "error", offset, message });
  }

  warn(offset: number, message: string): void {
    this.#warningCount++;
    if (this.#warnings.length < MAX_FAULTS) this.#warnings.push({ severity: "warning", offset, message });
  }

  /** In the order of the file; secrets in the lines are masked. */
  list(source: SourceText, secrets: readonly SecretRange[]): ConfigFault[] {
    const locate = createLocator(source.text);
    const byOffset = [...this.#errors, ...this.#warnings].sort((a, b) => a.offset - b.offset);
    const hide = hider(source.text, secrets);
    const faults = byOffset.map(({ severity, offset, message }): ConfigFault => {
      const position = locate(offset);
      const { line, column } = position;
      return {
        severity,
        path: source.path,
        line,
        column,
        message: hide(message),
        ...showLine(source.text, position, secrets),
        count: 1,
      };
    });
    const { line, column } = faults.at(-1) ?? { line: 1, column: 1 };
    const more = (severity: Noted["severity"], count: number): void => {
      if (count > 0)
        faults.push({ severity, path: source.path, line, column, message: `and ${count} more`, ...NO_LINE, count });
    };
    more("error", this.#errorCount - this.#errors.length);
    more("warning", this.#warningCount - this.#warnings.length);
    return faults;
  }
}

/** Shorter ones say nothing, and may be words of the message. */
const MIN_SECRET = 4;

/** What is masked in a line may be more than a secret, and is often what a message is about, as below `passdb:`. */
const SECRET_BEFORE = /\b(?:password|pwd|secret|token)["']?\s*:\s*$/i;
const MAX_BEFORE = 64;

/** A message may quote what stands under a secret's key where something else belongs, as after a line was lost. */
function hider(text: string, secrets: readonly SecretRange[]): (message: string) => string {
  const quoted = secrets
    .filter(({ start }) => SECRET_BEFORE.test(text.slice(Math.max(0, start - MAX_BEFORE), start)))
    .map(({ start, end }) => text.slice(start, end).replace(/^(["'])(.*)\1$/s, "$2"))
    .filter((secret) => secret.length >= MIN_SECRET)
    .map((secret) => `"${secret}"`);
  return (message) => quoted.reduce((shown, secret) => shown.replaceAll(secret, '"****"'), message);
}

/** For a file that could not even be read as text.
 * @param line the one to blame, if there is one
 */
export const wholeFileFault = (path: string, message: string, line = 0): ConfigFault => ({
  severity: "error",
  path,
  line,
  column: 1,
  message,
  ...NO_LINE,
  count: 1,
});

const NO_LINE = { sourceLine: "", caretColumn: 1 } as const;

/** A line longer than this is shown in part. */
const MAX_SHOWN = 400;
/** How much of it before the fault. */
const SHOWN_BEFORE = 100;

function showLine(
  text: string,
  { lineStart, lineEnd, at }: Position,
  secrets: readonly SecretRange[],
): Pick<ConfigFault, "sourceLine" | "caretColumn"> {
  const isShort = lineEnd - lineStart <= MAX_SHOWN;
  const from = isShort ? lineStart : Math.max(lineStart, at - SHOWN_BEFORE);
  const to = isShort ? lineEnd : Math.min(lineEnd, from + MAX_SHOWN);
  const sourceLine = hideSecrets(text, { lineStart, from, to }, secrets);
  return { sourceLine, caretColumn: countCharacters(sourceLine.slice(0, at - from)) + 1 };
}
