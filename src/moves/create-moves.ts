import { existsSync } from "node:fs";
import type { BackendOptions } from "../backends/options.ts";
import type { BackendPool } from "../backends/pool.ts";
import type { Clock } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Directory } from "../directory/directory.ts";
import { tellBatchEnd } from "./batch-end.ts";
import { createMoveCommands } from "./commands/move-commands.ts";
import { ScratchFolders } from "./commands/scratch.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { Moves } from "./moves.ts";
import type { MovesOptions } from "./moves-options.ts";
import { createOpenMailbox } from "./stores/imap-mailbox.ts";
import { createStoreChecks } from "./stores/store-checks.ts";
import type { Logins, OutsideAuthority, Residence } from "./tools.ts";

export interface CreateMovesParts {
  readonly directory: Directory;
  readonly keeper: HoldKeeper;
  /** As configured now; the two times are those of holds and drains. */
  readonly options: () => MovesOptions & { readonly holdDeadlineMs: number; readonly settleMs: number };
  readonly backends: () => ReadonlyMap<string, BackendOptions>;
  readonly pools: () => ReadonlyMap<string, BackendPool>;
  readonly logins: Logins;
  /** By `directory.write_through`, as configured now: asked for each time. */
  readonly outside: OutsideAuthority | undefined;
  readonly residence: Residence;
  readonly bypass: () => string | undefined;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
}

/** The moves of a daemon, with real commands and real stores. Call `recover` once mail can be served. */
export function createMoves(parts: CreateMovesParts): Moves {
  const { options, backends, pools, clock } = parts;
  const folders = (): ScratchFolders => new ScratchFolders(options().folder);
  const moves = new Moves({
    ...parts,
    get outside() {
      return parts.outside;
    },
    commands: createMoveCommands({ options, backends, clock }),
    checks: createStoreChecks({
      options: () => ({ ...options().verify, address: options().address, login: options().login }),
      backends,
      pools,
      openMailbox: createOpenMailbox(() => options().verify),
      // It adds a header to each message: X-TUID.
      changesSizes: (preset) => options().presets.get(preset)?.type === "mbsync",
      reportPath: (moveId) => folders().reportPath(moveId),
    }),
    rules: options,
    limits: options,
    defaultPreset: () => options().defaultPreset,
    filesOf: (moveId) => ({
      logPath: ifThere(folders().logPath(moveId)),
      reportPath: ifThere(folders().reportPath(moveId)),
    }),
    failedPathOf: (batchId) => ifThere(folders().failedPath(batchId)),
  });
  moves.onEvent((event) => {
    if (event.kind === "batch-ended") tellBatchEnd(event.summary, folders().failedPath(event.summary.id), parts.say);
  });
  return moves;
}

const ifThere = (path: string): string | undefined => (existsSync(path) ? path : undefined);
