import type { InferOutput } from "valibot";
import type { Directory, Hold, MoveActive } from "../directory/directory.ts";
import { didYouMean } from "../core/closest-name.ts";
import { describeNameFault } from "../directory/names.ts";
import { noDirectory, Problem } from "./problem.ts";
import { hasControl, toTime } from "./schemas.ts";
import type { hold } from "./schemas.ts";
import type { AdminServices } from "./services.ts";

/** @throws Problem where the configuration has none */
export function directoryOf({ directory }: Pick<AdminServices, "directory">): Directory {
  if (directory === undefined) throw noDirectory();
  return directory;
}

/**
 * For who says where users live.
 * @throws Problem where the configuration has no directory, or an outside table decides: an entry would overrule it
 */
export function ownDirectoryOf(services: Pick<AdminServices, "directory" | "authority">): Directory {
  const { authority } = services;
  if (authority === undefined) return directoryOf(services);
  throw new Problem(
    501,
    "Another table decides",
    `table ${authority} says where users live (directory.write_through): move them, or write it there ` +
      `(mailshunt table set ${authority} USER BACKEND, then mailshunt flush)`,
  );
}

/** The user key, whether or not it can be one. */
export const keyWithin = ({ userKeyOf }: Pick<AdminServices, "userKeyOf">, given: string): string =>
  userKeyOf(/^<.+>$/s.test(given) ? given.slice(1, -1) : given);

/**
 * The user key of an address or of a user, with or without the brackets of logs.
 * @throws Problem where it names nobody
 */
export function keyOf(services: AdminServices, given: string): string {
  const key = keyWithin(services, given);
  const fault = describeNameFault(key) ?? (hasControl(key) ? "has a control character" : undefined);
  if (fault === undefined) return key;
  throw new Problem(
    422,
    "No such user",
    `"${given.slice(0, SHOWN_CHARACTERS)}" names no user: the key made of it ${fault}`,
  );
}

const SHOWN_CHARACTERS = 80;

/** @throws Problem where there is no such backend */
export function checkBackend(services: AdminServices, backend: string): void {
  if (!services.backendNames().includes(backend))
    throw new Problem(422, "No such backend", noSuchBackend(backend, services));
}

export function noSuchBackend(backend: string, services: Pick<AdminServices, "backendNames">): string {
  const names = services.backendNames();
  return `there is no backend "${backend}": known are ${names.join(", ")}${didYouMean(backend, names)}`;
}

export const moveActive = ({ user, moveId }: MoveActive): Problem =>
  new Problem(409, "Move active", `${user} is being moved by ${moveId}: cancel that move first`, { move: moveId });

export const toHold = (
  { user, owner, reason, sinceMs, deadlineMs, generation }: Hold,
  nowMs: number,
): InferOutput<typeof hold> => ({
  user,
  owner,
  reason,
  since: toTime(sinceMs),
  deadline: toTime(deadlineMs),
  age_ms: Math.max(0, nowMs - sinceMs),
  generation,
});
