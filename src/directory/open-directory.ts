import { systemClock } from "../core/clock.ts";
import type { Clock } from "../core/clock.ts";
import type { Directory, DirectoryReader } from "./directory.ts";
import type { DirectoryOptions } from "./options.ts";
import { openSqliteDirectory, openSqliteReader } from "./sqlite/open.ts";

/**
 * For the one daemon: after it has given up root, or its files would be root's.
 * @throws DirectoryFailed
 */
export function openDirectory({ store }: DirectoryOptions, clock: Clock = systemClock): Promise<Directory> {
  switch (store.kind) {
    case "sqlite":
      return openSqliteDirectory(store.path, clock);
  }
}

/**
 * For other processes of the daemon that has it open.
 * @throws DirectoryFailed
 */
export function openDirectoryReader({ store }: DirectoryOptions): DirectoryReader {
  switch (store.kind) {
    case "sqlite":
      return openSqliteReader(store.path);
  }
}
