import type { ConfigFault } from "./config.ts";
import { hideSecretsInLine } from "./secrets.ts";
import type { SecretRange } from "./secrets.ts";
import { createLocator } from "./yaml/source-text.ts";
import type { SourceText } from "./yaml/source-text.ts";

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
    const faults = byOffset.map(({ severity, offset, message }): ConfigFault => {
      const position = locate(offset);
      const sourceLine = hideSecretsInLine(source.text, position, secrets);
      return { severity, path: source.path, line: position.line, column: position.column, message, sourceLine };
    });
    const { line, column } = faults.at(-1) ?? { line: 1, column: 1 };
    const more = (severity: Noted["severity"], count: number): void => {
      if (count > 0)
        faults.push({ severity, path: source.path, line, column, message: `and ${count} more`, sourceLine: "" });
    };
    more("error", this.#errorCount - this.#errors.length);
    more("warning", this.#warningCount - this.#warnings.length);
    return faults;
  }
}

/** For a file that could not even be read as text. */
export const wholeFileFault = (path: string, message: string, line = 1): ConfigFault => ({
  severity: "error",
  path,
  line,
  column: 1,
  message,
  sourceLine: "",
});
