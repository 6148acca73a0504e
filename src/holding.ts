import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { LogLevel } from "./core/log.ts";
import type { Directory } from "./directory/directory.ts";
import type { MoveService } from "./moves/move-service.ts";
import { HoldKeeper } from "./moves/hold-keeper.ts";
import type { Deliveries, Delivery } from "./relay/deliveries.ts";
import type { Parking } from "./relay/parking.ts";
import type { RoutingDirectory } from "./routing/router.ts";

export interface HoldingParts {
  readonly options: () => Pick<Config, "hold" | "drain">;
  readonly deliveries: Deliveries;
  readonly parking: Parking;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
}

/** The directory of the running daemon, and who holds users in it. */
export interface Holding {
  readonly directory: Directory;
  readonly keeper: HoldKeeper;
  readonly moves: MoveService | undefined;
  close(): Promise<void>;
}

export function startHolding(directory: Directory, parts: HoldingParts): Holding {
  const { deliveries, parking, clock, say, options } = parts;
  const keeper = new HoldKeeper({
    directory,
    deliveries,
    options,
    clock,
    say,
    onReleased: (user) => parking.release(user),
  });
  if (directory.startedUnclean)
    say("warning", "the last daemon did not end in order: what it had sent may still arrive, so drains wait");
  return {
    directory,
    keeper,
    moves: undefined,
    async close() {
      keeper.close();
      await directory.close();
    },
  };
}

/** For the router, before and after the directory is open. */
export function directoryOf(holding: () => Holding | undefined): RoutingDirectory {
  return {
    find(user) {
      const opened = holding();
      if (opened === undefined) throw new Error("the directory is not open");
      return opened.directory.find(user);
    },
  };
}

export async function noteUncertain(holding: Holding | undefined, delivery: Delivery): Promise<void> {
  await holding?.keeper.onUncertain(delivery);
}
