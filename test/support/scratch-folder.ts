import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder for one test, gone with it. */
export function scratchFolder(t: { after(clean: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "mailshunt-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
