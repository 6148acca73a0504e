import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DirectoryResults } from "../directory/directory.ts";
import type { Curve } from "../growth/growth.ts";
import type { AuthorityRow } from "../mail/authorities.ts";
import type { IdleRow } from "../mail/idle.ts";
import type { ManyUsersRow } from "../mail/many-users.ts";
import type { ScenarioRows } from "../mail/rows.ts";
import type { MoveResults } from "../moves/rows.ts";
import type { Soak } from "../soak/soak.ts";
import type { Machine } from "./machine.ts";

/** What each part measured: kept as files, so that the page can be drawn anew without measuring anew. */
export interface Results {
  readonly mail: readonly ScenarioRows[];
  readonly idle: readonly IdleRow[];
  readonly "many-users": readonly ManyUsersRow[];
  readonly authorities: readonly AuthorityRow[];
  readonly moves: MoveResults;
  readonly directory: DirectoryResults;
  readonly growth: readonly Curve[];
  readonly soak: Soak;
}

export interface Measured<Part extends keyof Results> {
  readonly machine: Machine;
  readonly results: Results[Part];
}

const FOLDER = join(import.meta.dirname, "..", "results");

export function writeResults<Part extends keyof Results>(part: Part, measured: Measured<Part>): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(pathOf(part), JSON.stringify(measured, undefined, 1) + "\n");
}

/** Undefined where it was never measured. */
export function readResults<Part extends keyof Results>(part: Part): Measured<Part> | undefined {
  if (!existsSync(pathOf(part))) return undefined;
  // Files that we wrote ourselves.
  return JSON.parse(readFileSync(pathOf(part), "utf8")) as Measured<Part>;
}

const pathOf = (part: keyof Results): string => join(FOLDER, `${part}.json`);
