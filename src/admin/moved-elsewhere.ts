import { setImmediate as turn } from "node:timers/promises";
import type { Switched } from "../directory/directory.ts";
import type { MoveService, StartRequest } from "../moves/move-service.ts";
import { directoryOf } from "./directory-requests.ts";
import { MOVED_ELSEWHERE, Problem } from "./problem.ts";
import type { AdminServices } from "./services.ts";

/** For the OpenAPI document. */
export const CONFIRMED =
  "Refused with 409, `Moved elsewhere`, where a move has put the mailbox in another backend, unless `confirmed` is true.";

/**
 * Where the mailbox is by the last move of the user, if that is not this backend. A store that the configuration no longer has
 * does not count: nothing can be copied over it.
 */
export function findElsewhere(
  services: AdminServices,
  user: string,
  backend: string | undefined,
): Switched | undefined {
  const switched = directoryOf(services).moves.findSwitched(user);
  if (switched === undefined || switched.to === backend) return undefined;
  return services.backendNames().includes(switched.to) ? switched : undefined;
}

/**
 * @param backend undefined: by tables and fallback the user lives nowhere
 * @throws Problem where the user must not come to live there unless somebody knows better
 */
export function checkMailboxIsIn(services: AdminServices, user: string, backend: string | undefined): void {
  const elsewhere = findElsewhere(services, user, backend);
  if (elsewhere === undefined) return;
  const { to, moveId } = elsewhere;
  const there = backend === undefined ? "nowhere, as no table and no fallback names a backend" : `to ${backend}`;
  const remedy = backend === undefined ? "" : `; to move the mailbox too: mailshunt move start --to ${backend} ${user}`;
  throw new Problem(
    409,
    MOVED_ELSEWHERE,
    `move ${moveId} has put the mailbox in ${to}: mail would go ${there}, and a later move would copy over what is in ${to}${remedy}`,
    { backend: to, move: moveId },
  );
}

export interface LeftOut {
  readonly user: string;
  readonly why: "moved-elsewhere";
  readonly text: string;
}

/** Users looked up in one turn: a ms. */
const LOOKED_UP_AT_ONCE = 100;

/** Those of a request whose mailbox is not where the move would copy it from. */
export async function findMovedElsewhere(
  services: AdminServices,
  moves: MoveService,
  request: StartRequest,
): Promise<readonly LeftOut[]> {
  const { moves: known } = directoryOf(services);
  const suspects: string[] = [];
  for (const [at, user] of request.users.entries()) {
    if (known.findSwitched(user) !== undefined) suspects.push(user);
    if (at % LOOKED_UP_AT_ONCE === LOOKED_UP_AT_ONCE - 1) await turn();
  }
  if (suspects.length === 0) return [];
  const { planned } = await moves.start({ ...request, users: suspects, isDryRun: true });
  return planned.flatMap(({ user, from, to }) => {
    const elsewhere = findElsewhere(services, user, from);
    if (elsewhere === undefined) return [];
    const { moveId, to: there } = elsewhere;
    const harm = to === there ? `what is in ${from} would be copied over it` : "it would be left behind";
    const text =
      `move ${moveId} has put the mailbox in ${there}, but the user now lives in ${from}: ${harm}; ` +
      `to live with the mailbox again: mailshunt user set --to ${there} ${user}`;
    return [{ user, why: "moved-elsewhere" as const, text }];
  });
}
