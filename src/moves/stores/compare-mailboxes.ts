import { compareContents, countOf } from "./compare-folders.ts";
import type { FolderDifference } from "./compare-folders.ts";
import { readContents } from "./folder-contents.ts";
import type { FolderContents } from "./folder-contents.ts";
import type { Folder, MailboxReader } from "./mailbox-reader.ts";

export interface CompareOptions {
  readonly ignoreFolders: readonly string[];
  readonly ignoreFlags: readonly string[];
  readonly ignoreSizes: boolean;
}

/** What was read of one mailbox, by folder: the next comparison reads only what is new. */
export type MailboxMemory = Map<string, FolderContents>;

export interface Side {
  readonly reader: MailboxReader;
  readonly memory: MailboxMemory;
}

export interface MailboxReport {
  readonly folders: number;
  readonly messages: number;
  readonly differences: number;
  /** One for each folder that differs, then what else is worth knowing. */
  readonly lines: readonly string[];
}

/** Messages of one mailbox that are remembered, at most: some 28 MB. */
const MAX_REMEMBERED = 1_000_000;

/** Folder by folder, with one folder of each side in memory beside what is remembered. */
export async function compareMailboxes(
  source: Side,
  target: Side,
  options: CompareOptions,
  signal: AbortSignal,
): Promise<MailboxReport> {
  const [ours, theirs] = await Promise.all([source.reader.folders(), target.reader.folders()]);
  // Every mailbox has its INBOX (RFC 3501 section 5.1): two stores that say nothing are not equal.
  if (!ours.some(({ isSelectable }) => isSelectable)) throw new Error("the old store lists no folder at all");
  const left = byName(ours, options.ignoreFolders, "old");
  const right = byName(theirs, options.ignoreFolders, "new");
  const ignoreFlags = new Set(options.ignoreFlags.map((flag) => flag.toLowerCase()));
  const lines: string[] = [];
  const notes: string[] = [];
  let [differences, messages, folders] = [0, 0, 0];
  for (const [name, folder] of left) {
    signal.throwIfAborted();
    const other = right.get(name);
    right.delete(name);
    noteSubscription(name, folder, other, notes);
    if (!folder.isSelectable) continue;
    folders += 1;
    if (other?.isSelectable !== true) {
      differences += 1;
      lines.push(`${name}: the folder is missing in the new store`);
      continue;
    }
    const [contents, otherContents] = await Promise.all([
      readFolder(source, folder, ignoreFlags),
      readFolder(target, other, ignoreFlags),
    ]);
    messages += contents.count;
    for (const [store, { hiddenCount }] of [
      ["old", contents],
      ["new", otherContents],
    ] as const) {
      if (hiddenCount === 0) continue;
      differences += hiddenCount;
      lines.push(`${name}: the ${store} store has ${hiddenCount} messages more than it shows`);
    }
    const difference = compareContents(contents, otherContents, options.ignoreSizes);
    if (countOf(difference) === 0) continue;
    differences += countOf(difference);
    lines.push(
      `${name}: ${describe(difference)} (${contents.count} in the old store, ${otherContents.count} in the new one)`,
    );
  }
  for (const [name, folder] of right) {
    if (!folder.isSelectable) continue;
    const { count } = await target.reader.examine(folder.path);
    if (count === 0) continue;
    differences += count;
    lines.push(`${name}: the folder is in the new store alone, with ${count} messages`);
  }
  return { folders, messages, differences, lines: [...lines, ...notes] };
}

async function readFolder(
  { reader, memory }: Side,
  folder: Folder,
  ignoreFlags: ReadonlySet<string>,
): Promise<FolderContents & { readonly hiddenCount: number }> {
  const state = await reader.examine(folder.path);
  const contents = await readContents(reader, state, memory.get(folder.path), ignoreFlags);
  let remembered = contents.count;
  for (const [path, other] of memory) if (path !== folder.path) remembered += other.count;
  if (remembered <= MAX_REMEMBERED) memory.set(folder.path, contents);
  else memory.delete(folder.path);
  return { ...contents, hiddenCount: Math.max(0, state.count - contents.count) };
}

/** @throws Error for two folders of one name, of which only one would be compared */
function byName(folders: readonly Folder[], ignored: readonly string[], store: "old" | "new"): Map<string, Folder> {
  const isIgnored = ({ name }: Folder): boolean => ignored.some((top) => name === top || name.startsWith(`${top}/`));
  const found = new Map<string, Folder>();
  for (const folder of folders) {
    if (isIgnored(folder)) continue;
    const same = found.get(folder.name);
    if (same?.isSelectable === true && folder.isSelectable)
      throw new Error(
        `the ${store} store has two folders that would both be ${folder.name}: "${same.path}" and "${folder.path}"; rename one of them`,
      );
    if (same === undefined || folder.isSelectable) found.set(folder.name, folder);
  }
  return found;
}

function noteSubscription(name: string, ours: Folder, theirs: Folder | undefined, notes: string[]): void {
  if (theirs === undefined || ours.isSubscribed === theirs.isSubscribed) return;
  notes.push(`${name}: subscribed in the ${ours.isSubscribed ? "old" : "new"} store alone (this does not count)`);
}

function describe({ missing, extra, flags, sizes }: FolderDifference): string {
  const parts: readonly (readonly [number, string])[] = [
    [missing, "missing in the new store"],
    [extra, "in the new store alone"],
    [flags, "with other flags"],
    [sizes, "with another size"],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(", ");
}
