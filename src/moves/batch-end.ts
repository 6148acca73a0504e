import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { LogLevel } from "../core/log.ts";
import type { BatchSummary } from "./move-service.ts";

/**
 * Says what has come of moves that were started together, and writes who failed to a file: `move start --file` takes it,
 * and leaves lines that begin with # alone. When all have been moved in the end, the file goes.
 */
export function tellBatchEnd(
  { id, total, done, failed }: BatchSummary,
  path: string,
  say: (level: LogLevel, text: string) => void,
): void {
  // A single one has said it itself.
  if (total <= 1) return;
  const sum = `batch ${id} has ended: ${done} of ${total} done`;
  try {
    if (failed.length === 0) {
      rmSync(path, { force: true });
      return say("notice", sum);
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const lines = failed.map(({ user, phase, moveId }) => `${toField(user)},${phase},${moveId}\n`);
    writeFileSync(path, `# user,what came of it,move\n${lines.join("")}`, { mode: 0o600 });
    say("warning", `${sum}, ${failed.length} failed: see ${path}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    say("warning", `${sum}, ${failed.length} failed; who cannot be written to ${path}: ${why}`);
  }
}

const toField = (user: string): string => (/[",\s#]/.test(user) ? `"${user.replaceAll('"', '""')}"` : user);
