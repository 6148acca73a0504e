import { setImmediate as turn } from "node:timers/promises";
import type { Author, CreateResult, Directory, Move, NewMove } from "../../directory/directory.ts";
import { describeNameFault, MAX_MOVES_AT_ONCE } from "../../directory/names.ts";
import type { PlannedMove, RefusedMove, StartRequest, StartResult } from "../move-service.ts";
import type { MoveCommands, Residence, StoreChecks } from "../tools.ts";
import { moveIdOf, newBatchId } from "./batches.ts";
import { encodeEntry, FIRST_ENTRY, isOutcomeUnknown } from "./journal.ts";
import { encodeOptions } from "./views.ts";

/** Users of one request: a migration's weekend, and no more than memory takes. */
export const MAX_USERS_AT_ONCE = 1_000_000;

/** Users looked up before others have their turn: some 5 ms. */
const USERS_PER_TURN = 100;

export interface PlanParts {
  readonly directory: Directory;
  readonly residence: Residence;
  readonly commands: Pick<MoveCommands, "faultOf">;
  readonly checks: Pick<StoreChecks, "faultOf">;
  readonly defaultPreset: () => string | undefined;
  readonly bypass: () => string | undefined;
  readonly clock: { wallMs(): number };
}

interface Wanted {
  readonly user: string;
  readonly from: string;
}

/**
 * Plans what can be moved.
 * @param onPlanned called for each move once it is in the directory
 * @throws DirectoryFailed, RangeError for too many users
 */
export async function planMoves(
  request: StartRequest,
  parts: PlanParts,
  onPlanned: (move: Move) => void,
): Promise<StartResult> {
  if (request.users.length > MAX_USERS_AT_ONCE)
    throw new RangeError(`at most ${MAX_USERS_AT_ONCE} users at once: start the others later`);
  const preset = request.preset ?? parts.defaultPreset() ?? "";
  const refused: RefusedMove[] = [];
  const wanted: Wanted[] = [];
  const judge = createJudge(request, preset, parts);
  for (const [at, user] of request.users.entries()) {
    // Where nothing but memory and SQLite is asked, `await` gives no turn to anybody.
    if (at % USERS_PER_TURN === USERS_PER_TURN - 1) await turn();
    const judged = await judge(user);
    if ("from" in judged) wanted.push(judged);
    else refused.push(judged);
  }
  if (request.isDryRun === true)
    return {
      batchId: undefined,
      planned: wanted.map((one) => ({ ...one, moveId: undefined, to: request.to })),
      refused,
    };
  const batchId = newBatchId(parts.clock.wallMs());
  const planned: PlannedMove[] = [];
  for (let at = 0; at < wanted.length; at += MAX_MOVES_AT_ONCE) {
    const some = wanted.slice(at, at + MAX_MOVES_AT_ONCE);
    const moves = some.map((one, index) => toNewMove(one, moveIdOf(batchId, at + index + 1), request, preset));
    const result = await create(moves, authorOf(request), parts.directory);
    for (const move of result.created) {
      planned.push({ moveId: move.id, user: move.user, from: move.from, to: move.to });
      onPlanned(move);
    }
    for (const { user, moveId } of result.refused)
      refused.push({ user, why: "move-active", text: `move ${moveId} of this user is under way` });
  }
  return { batchId: planned.length === 0 ? undefined : batchId, planned, refused };
}

/** @throws DirectoryFailed */
async function create(moves: readonly NewMove[], author: Author, directory: Directory): Promise<CreateResult> {
  try {
    return await directory.moves.create(moves, author);
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error;
    const created = moves.map(({ id }) => directory.moves.find(id)).filter((move) => move !== undefined);
    if (created.length === 0) throw error;
    const users = new Set(created.map(({ user }) => user));
    const active = moves.filter(({ user }) => !users.has(user)).map(({ user }) => directory.moves.findActive(user));
    const refused = active.filter((move) => move !== undefined);
    return { created, refused: refused.map(({ user, id }) => ({ kind: "move-active", user, moveId: id })) };
  }
}

const authorOf = ({ author, to, isRehearsal }: StartRequest): Author => {
  const what = isRehearsal === true ? `rehearsal of a move to ${to}` : `move to ${to}`;
  const why = isRehearsal === true && author.why !== "" ? `rehearsal: ${author.why}` : author.why || what;
  return { ...author, why };
};

const toNewMove = ({ user, from }: Wanted, id: string, request: StartRequest, preset: string): NewMove => ({
  id,
  user,
  from,
  to: request.to,
  optionsJson: encodeOptions({ preset, isRehearsal: request.isRehearsal === true }),
  state: FIRST_ENTRY.state.phase,
  entryJson: encodeEntry(FIRST_ENTRY),
});

function createJudge(
  request: StartRequest,
  preset: string,
  parts: PlanParts,
): (user: string) => Promise<Wanted | RefusedMove> {
  const { directory, residence, commands, checks } = parts;
  const { to } = request;
  const seen = new Set<string>();
  const faults = new Map<string, string | undefined>();
  const bypass = request.isUnproven === true ? undefined : parts.bypass();

  function faultOf(from: string): string | undefined {
    if (preset === "") return "no preset was named, and moves.preset says none";
    if (!faults.has(from)) faults.set(from, commands.faultOf(from, to, preset) ?? checks.faultOf(from, to));
    return faults.get(from);
  }

  return async (user) => {
    const fault = describeNameFault(user);
    if (fault !== undefined) return { user, why: "cannot-move", text: `the user's name ${fault}` };
    if (/[*?]/.test(user))
      return {
        user,
        why: "cannot-move",
        text: "the user's name is a pattern to doveadm, which takes it for many users",
      };
    if (seen.has(user)) return { user, why: "repeated", text: "this user comes twice" };
    seen.add(user);
    if (bypass !== undefined)
      return { user, why: "cannot-move", text: `${bypass}; to move all the same, ask for an unproven move` };
    const active = directory.moves.findActive(user);
    if (active !== undefined) return { user, why: "move-active", text: `move ${active.id} of this user is under way` };
    const place = await residence(user);
    if (place.kind === "cannot-tell") return { user, why: "cannot-tell", text: place.reason };
    const { backend: from } = place;
    if (from === to) return { user, why: "already-there", text: `this user lives in ${to} already` };
    if (request.from !== undefined && from !== request.from)
      return { user, why: "lives-elsewhere", text: `this user lives in ${from}, not in ${request.from}` };
    const reason = faultOf(from);
    return reason === undefined ? { user, from } : { user, why: "cannot-move", text: reason };
  };
}
