import { decodeText } from "../../wire/text.ts";
import type { Change } from "../table.ts";
import { fillTemplate, keyIn, patternFor, toArgument } from "./key-template.ts";
import type { KeyTemplate } from "./key-template.ts";
import type { RedisArgument } from "./link.ts";

export type Command = readonly RedisArgument[];

/** Where a table's entries are: each in a key of its own, or all in one hash. */
export interface Layout {
  /** What is watched while `key` is changed. */
  watched(key: string): RedisArgument;
  get(key: string): Command;
  change(change: Change): readonly Command[];
  /** One step through all there is. Its reply is a cursor and keys, or with a hash keys and values in turn. */
  scan(cursor: RedisArgument, prefix: string): Command;
  /** The values of the keys that a step gave; undefined where it gave them itself. */
  values?(keys: readonly RedisArgument[]): Command;
  /** The table's own key. */
  keyIn(full: Buffer): string | undefined;
}

/** Redis looks at about so many in one step of a scan. */
const SCAN_COUNT = "1000";

export function createLayout(template: KeyTemplate, hash: string | undefined): Layout {
  const ours = (full: Buffer): string | undefined => keyIn(template, decodeText(full));
  const full = (key: string): RedisArgument => fillTemplate(template, key);
  if (hash === undefined)
    return {
      watched: full,
      get: (key) => ["GET", full(key)],
      change: (change) => changeKey(change, full(change.key)),
      scan: (cursor, prefix) => ["SCAN", cursor, "MATCH", patternFor(template, prefix), "COUNT", SCAN_COUNT],
      values: (keys) => ["MGET", ...keys],
      keyIn: ours,
    };
  return {
    watched: () => hash,
    get: (key) => ["HGET", hash, full(key)],
    change: (change) => changeField(change, hash, full(change.key)),
    scan: (cursor, prefix) => ["HSCAN", hash, cursor, "MATCH", patternFor(template, prefix), "COUNT", SCAN_COUNT],
    keyIn: ours,
  };
}

function changeKey(change: Change, key: RedisArgument): readonly Command[] {
  switch (change.kind) {
    case "set": {
      const expiry = change.expireSeconds === undefined ? [] : ["EX", toSeconds(change.expireSeconds)];
      return [["SET", key, toArgument(change.value), ...expiry]];
    }
    case "unset":
      return [["DEL", key]];
    case "increment":
      return [["INCRBY", key, String(change.by)]];
  }
}

/** A field can expire from Redis 7.4 on; an older one refuses the whole transaction. */
function changeField(change: Change, hash: RedisArgument, field: RedisArgument): readonly Command[] {
  switch (change.kind) {
    case "set": {
      const set: Command = ["HSET", hash, field, toArgument(change.value)];
      if (change.expireSeconds === undefined) return [set];
      return [set, ["HEXPIRE", hash, toSeconds(change.expireSeconds), "FIELDS", "1", field]];
    }
    case "unset":
      return [["HDEL", hash, field]];
    case "increment":
      return [["HINCRBY", hash, field, String(change.by)]];
  }
}

/** Redis takes 0 for a fault. */
const toSeconds = (seconds: number): string => String(Math.max(1, Math.ceil(seconds)));
