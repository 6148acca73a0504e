import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { AxisName } from "./growth/axes.ts";

/** In the order in which they are measured. */
export const PARTS = [
  "mail",
  "idle",
  "many-users",
  "authorities",
  "tables",
  "moves",
  "directory",
  "growth",
  "soak",
] as const;
export type Part = (typeof PARTS)[number];

/** They take long, and are measured only when they are named. */
const LONG_PARTS: readonly Part[] = ["growth", "soak"];
/** Left out of a first look as well: they wait for memory to settle, and fill databases. */
const SLOW_PARTS: readonly Part[] = [...LONG_PARTS, "idle", "authorities"];

const AXES: readonly AxisName[] = ["sessions", "recipients", "backends", "directory", "workers", "size"];

export interface Request {
  readonly isQuick: boolean;
  readonly parts: readonly Part[];
  /** Whether docs/performance.md gets what was measured. */
  readonly isWriting: boolean;
  /** Of the directory. */
  readonly userCount: number;
  /** Of the directory whose growth is measured. */
  readonly growthUsers: number;
  readonly axis: AxisName | undefined;
  /** Of mailshunt; undefined leaves its default. */
  readonly workers: number | undefined;
  /** Up to which workers are counted where their growth is measured. */
  readonly mostWorkers: number;
  readonly soakMinutes: number;
  readonly podopFolder: string | undefined;
  readonly lmtpProxyFolder: string | undefined;
}

export const USAGE = `usage: npm run bench [-- [PART...] [--quick] [--write] [--workers NUMBER] [--users NUMBER] [--axis NAME] [--minutes NUMBER]
                             [--podop FOLDER] [--lmtp-proxy FOLDER]]
PART is ${PARTS.join(", ")}, all, or render, which draws the page anew from what was measured before.`;

/** Undefined for what makes no sense. */
export function readArguments(): Request | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        write: { type: "boolean" },
        only: { type: "string" },
        users: { type: "string" },
        axis: { type: "string" },
        workers: { type: "string" },
        minutes: { type: "string" },
        podop: { type: "string" },
        "lmtp-proxy": { type: "string" },
      },
    });
    const { quick: isQuick = false, write: isWriting = false, only, axis } = values;
    const parts = readParts(only === undefined ? positionals : [only], isQuick);
    if (parts === undefined || (axis !== undefined && !isAxis(axis))) return undefined;
    const number = (text: string | undefined, otherwise: number): number => {
      const given = Number(text ?? otherwise);
      if (!(given > 0)) throw new Error(`not a number: ${text}`);
      return given;
    };
    return {
      isQuick,
      isWriting: isWriting || positionals.includes("render"),
      parts,
      userCount: number(values.users, isQuick ? 200_000 : 1_000_000),
      growthUsers: number(values.users, isQuick ? 100_000 : 10_000_000),
      axis,
      workers: values.workers === undefined ? undefined : number(values.workers, 1),
      mostWorkers: number(values.workers, Math.max(2, availableParallelism())),
      soakMinutes: number(values.minutes, isQuick ? 0.5 : 10),
      podopFolder: values.podop === undefined ? undefined : resolve(values.podop),
      lmtpProxyFolder: values["lmtp-proxy"] === undefined ? undefined : resolve(values["lmtp-proxy"]),
    };
  } catch {
    return undefined;
  }
}

function readParts(words: readonly string[], isQuick: boolean): readonly Part[] | undefined {
  const leftOut = isQuick ? SLOW_PARTS : LONG_PARTS;
  if (words.length === 0) return PARTS.filter((part) => !leftOut.includes(part));
  if (!words.every((word) => word === "all" || word === "render" || isPart(word))) return undefined;
  return words.includes("all") ? PARTS : PARTS.filter((part) => words.includes(part));
}

const isPart = (word: string): word is Part => (PARTS as readonly string[]).includes(word);
const isAxis = (word: string): word is AxisName => (AXES as readonly string[]).includes(word);
