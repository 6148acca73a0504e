import { closeSync, fstatSync, readFileSync, statSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { extname } from "node:path";
import { openFile } from "../../core/open-file.ts";
import { describeReadError } from "../../core/read-error.ts";
import { formatSize } from "../../core/units.ts";
import { unreachable } from "../../core/unreachable.ts";
import { createLocator, decodeSource } from "../../yaml/source-text.ts";
import { parseJsonTable } from "./file-json.ts";
import { parsePostfixText } from "./file-postfix.ts";
import type { Finding, Findings, ParsedFile } from "./file-findings.ts";
import { parseYamlTable } from "./file-yaml.ts";

export const FILE_FORMATS = ["auto", "yaml", "json", "postfix"] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];

export interface ReadRequest {
  readonly path: string;
  readonly format: FileFormat;
  /** Keys are lower-cased. */
  readonly foldsKeys: boolean;
  readonly maxBytes: number;
}

/** What stands in a file, or is wrong with it. Lines count from 1; 0 is the file as a whole. */
export interface Remark {
  readonly line: number;
  readonly text: string;
}

export type ReadReply =
  | {
      readonly kind: "read";
      /** Of what was read: see `identityOf`. */
      readonly identity: string;
      /** As `openPacked` takes it. */
      readonly packed: SharedArrayBuffer;
      readonly warnings: readonly Remark[];
      readonly warningCount: number;
    }
  | { readonly kind: "bad"; readonly faults: readonly Remark[]; readonly faultCount: number }
  /** Somebody writes to it just now. */
  | { readonly kind: "changing" };

/** Two looks at a file that see the same identity see the same content. A change of permissions is a change too. */
export const identityOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(":");

/**
 * Reads a file into a packed table. Blocks: for a worker.
 * @param readAll reads from an open file to its end
 */
export function readTableFile(request: ReadRequest, readAll: (file: number) => Buffer = readFileSync): ReadReply {
  let read: StableBytes;
  try {
    read = readStable(request, readAll);
  } catch (error) {
    return oneFault(0, `cannot read it: ${describeReadError(error)}`);
  }
  switch (read.kind) {
    case "changing":
      return read;
    case "too-large":
      return oneFault(0, `it has more than ${formatSize(request.maxBytes)}`);
    case "stable": {
      const decoded = decodeSource(request.path, read.bytes);
      return decoded.kind === "bad"
        ? oneFault(decoded.line, decoded.message)
        : toReply(decoded.source.text, parse(decoded.source.text, request), read.identity);
    }
  }
}

type StableBytes =
  | { readonly kind: "stable"; readonly bytes: Buffer; readonly identity: string }
  | { readonly kind: "too-large" }
  | { readonly kind: "changing" };

/** What is read counts only if nobody wrote to it, or put another file in its place, meanwhile. */
function readStable({ path, maxBytes }: ReadRequest, readAll: (file: number) => Buffer): StableBytes {
  const file = openFile(path, false);
  try {
    const before = fstatSync(file, { bigint: true });
    if (before.size > maxBytes) return { kind: "too-large" };
    const bytes = readAll(file);
    const identity = identityOf(before);
    const after = statSync(path, { bigint: true, throwIfNoEntry: false });
    const isStable = BigInt(bytes.length) === before.size && after !== undefined && identityOf(after) === identity;
    return isStable ? { kind: "stable", bytes, identity } : { kind: "changing" };
  } finally {
    closeSync(file);
  }
}

function parse(text: string, { path, format, foldsKeys }: ReadRequest): ParsedFile {
  const known = format === "auto" ? formatOfName(path) : format;
  switch (known) {
    case "yaml":
      return parseYamlTable(text, foldsKeys);
    case "json":
      return parseJsonTable(text, foldsKeys);
    case "postfix":
      return parsePostfixText(text, foldsKeys);
    default:
      return unreachable(known);
  }
}

function formatOfName(path: string): Exclude<FileFormat, "auto"> {
  switch (extname(path).toLowerCase()) {
    case ".yaml":
    case ".yml":
      return "yaml";
    case ".json":
      return "json";
    default:
      return "postfix";
  }
}

function toReply(text: string, { table, faults, warnings }: ParsedFile, identity: string): ReadReply {
  const locate = createLocator(text);
  const toRemark = ({ offset, text: said }: Finding): Remark => ({ line: locate(offset).line, text: said });
  const remarks = ({ kept }: Findings): Remark[] => kept.map(toRemark);
  if (faults.count > 0) return { kind: "bad", faults: remarks(faults), faultCount: faults.count };
  return {
    kind: "read",
    identity,
    packed: table.finish(),
    warnings: remarks(warnings),
    warningCount: warnings.count,
  };
}

const oneFault = (line: number, text: string): ReadReply => ({ kind: "bad", faults: [{ line, text }], faultCount: 1 });
