import { readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** The file's text, empty while there is none. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * Waits until a file's text matches, woken by each change in its folder.
 * @throws after `limitMs`, with the text as it was then
 */
export async function waitForFileText(path: string, pattern: RegExp, limitMs = 15_000): Promise<string> {
  const name = basename(path);
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const text = textOf(path);
      if (!pattern.test(text)) return;
      finish();
      resolve(text);
    };
    const watcher = watch(dirname(path), (_event, changed) => {
      if (changed === name || changed === null) look();
    });
    const limit = setTimeout(() => {
      finish();
      reject(new Error(`${path} never matched ${String(pattern)}; it holds:\n${textOf(path)}`));
    }, limitMs);
    const finish = (): void => {
      watcher.close();
      clearTimeout(limit);
    };
    look();
  });
}
