import type { DatabaseSync } from "node:sqlite";
import type { Contradiction, MoveActive, SetResult, UnsetResult } from "../directory.ts";
import { ownerOfMove } from "../names.ts";
import type { Act, RecordChange } from "./history-writes.ts";
import { prepareQuery } from "./query.ts";

/** Entries of an import, in one text: user NUL backend NUL user NUL backend … */
export interface ImportBatch {
  readonly packed: string;
  readonly isDryRun: boolean;
  readonly respectMovesTo: readonly string[];
}

export interface ImportBatchResult {
  /** Entries that fitted into the time, from the first on: the others are to be asked for again. */
  readonly taken: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly refused: number;
  /** The first `MAX_LISTED` of them. */
  readonly refusals: readonly { readonly user: string; readonly moveId: string }[];
  readonly contradicted: number;
  /** The first `MAX_LISTED` of them. */
  readonly contradictions: readonly Contradiction[];
}

/**
 * How long one batch of an import may keep other writes waiting, in ms, its commit excepted; looked at after so many
 * entries.
 */
const BATCH_MS = 20;
const LOOK_EVERY = 64;

/** How long it goes on, in ms, though others wait: so that it gets on where there is always somebody. */
const AWAITED_MS = 2;

/** Most users that a report of an import names. */
export const MAX_LISTED = 100;

export interface UserWriter {
  setUser(user: string, backend: string, act: Act): SetResult;
  unsetUser(user: string, act: Act): UnsetResult;
  importUsers(batch: ImportBatch, act: Act): ImportBatchResult;
  /** Whoever asks; for the switch. @returns where the user lived */
  putUser(user: string, backend: string | undefined): string | undefined;
  /** The move that only its own author may touch. */
  findRefusal(user: string, who: string): MoveActive | undefined;
}

interface Backend {
  readonly id: number;
  readonly name: string;
  /** Not yet in the table. */
  addedUsers: number;
}

/** @param isAwaited whether others wait for their turn */
export function createUserWriter(
  db: DatabaseSync,
  openAct: (act: Act) => RecordChange,
  isAwaited: () => boolean,
): UserWriter {
  const findUser = prepareQuery<[number, string]>(
    db,
    "SELECT backends.id, backends.name FROM users JOIN backends ON backends.id = users.backend WHERE user = ?",
  );
  const findBackendId = prepareQuery<[number]>(db, "SELECT backend FROM users WHERE user = ?");
  const activeMove = prepareQuery<[string]>(db, "SELECT id FROM moves WHERE user = ? AND is_active = 1");
  const anyActiveMove = prepareQuery<[number]>(db, "SELECT 1 FROM moves WHERE is_active = 1 LIMIT 1");
  const anySwitched = prepareQuery<[number]>(db, "SELECT 1 FROM moves WHERE switched_ms IS NOT NULL LIMIT 1");
  const lastSwitched = prepareQuery<[id: string, to: string]>(
    db,
    `SELECT id, to_backend FROM moves WHERE user = ? AND switched_ms IS NOT NULL
     ORDER BY switched_ms DESC, number DESC LIMIT 1`,
  );
  const findBackend = prepareQuery<[number]>(db, "SELECT id FROM backends WHERE name = ?");
  const findBackendName = prepareQuery<[string]>(db, "SELECT name FROM backends WHERE id = ?");
  const addBackend = prepareQuery<[number]>(db, "INSERT INTO backends (name) VALUES (?) RETURNING id");
  const addToCount = db.prepare("UPDATE backends SET user_count = user_count + ? WHERE id = ?");
  const insertUser = db.prepare("INSERT INTO users (user, backend) VALUES (?, ?)");
  const updateUser = db.prepare("UPDATE users SET backend = ? WHERE user = ?");
  const deleteUser = db.prepare("DELETE FROM users WHERE user = ?");

  const backendId = (name: string): number => findBackend.one(name)?.[0] ?? addBackend.one(name)?.[0] ?? 0;

  function findRefusal(user: string, who: string): MoveActive | undefined {
    const [moveId] = activeMove.one(user) ?? [];
    if (moveId === undefined || who === ownerOfMove(moveId)) return undefined;
    return { kind: "move-active", user, moveId };
  }

  function putUser(user: string, backend: string | undefined): string | undefined {
    const [oldId, from] = findUser.one(user) ?? [];
    if (backend === from) return from;
    if (oldId !== undefined) addToCount.run(-1, oldId);
    if (backend === undefined) {
      deleteUser.run(user);
      return from;
    }
    const id = backendId(backend);
    addToCount.run(1, id);
    if (oldId === undefined) insertUser.run(user, id);
    else updateUser.run(id, user);
    return from;
  }

  return {
    findRefusal,
    putUser,

    setUser(user, backend, act) {
      if (findUser.one(user)?.[1] === backend) return { kind: "unchanged" };
      const refusal = findRefusal(user, act.who);
      if (refusal !== undefined) return refusal;
      const from = putUser(user, backend);
      openAct(act)(user, "set", from, backend);
      return { kind: "set", from };
    },

    unsetUser(user, act) {
      if (findUser.one(user) === undefined) return { kind: "unchanged" };
      const refusal = findRefusal(user, act.who);
      if (refusal !== undefined) return refusal;
      const from = putUser(user, undefined) ?? "";
      openAct(act)(user, "unset", from, undefined);
      return { kind: "unset", from };
    },

    importUsers({ packed, isDryRun, respectMovesTo }, act) {
      const backends = openBackends();
      const record = openAct(act);
      const refusals: { user: string; moveId: string }[] = [];
      const mayRefuse = anyActiveMove.one() !== undefined;
      const contradictions: Contradiction[] = [];
      const mayContradict = respectMovesTo.length > 0 && anySwitched.one() !== undefined;
      let contradicted = 0;
      let created = 0;
      let changed = 0;
      let unchanged = 0;
      let refused = 0;
      let taken = 0;
      const fields = packed.split("\0");
      const startMs = performance.now();
      const isOver = (): boolean => {
        const tookMs = performance.now() - startMs;
        return tookMs >= BATCH_MS || (tookMs >= AWAITED_MS && isAwaited());
      };
      for (; 2 * taken + 1 < fields.length; taken += 1) {
        if (taken % LOOK_EVERY === LOOK_EVERY - 1 && isOver()) break;
        const user = fields[2 * taken] ?? "";
        const name = fields[2 * taken + 1] ?? "";
        const [oldId] = findBackendId.one(user) ?? [];
        const old = oldId === undefined ? undefined : backends.byId(oldId);
        if (old?.name === name) {
          unchanged += 1;
          continue;
        }
        const refusal = mayRefuse ? findRefusal(user, act.who) : undefined;
        if (refusal !== undefined) {
          refused += 1;
          if (refused <= MAX_LISTED) refusals.push({ user, moveId: refusal.moveId });
          continue;
        }
        const [moveId, movedTo] = (mayContradict ? lastSwitched.one(user) : undefined) ?? [];
        if (moveId !== undefined && movedTo !== undefined && movedTo !== name && respectMovesTo.includes(movedTo)) {
          contradicted += 1;
          if (contradicted <= MAX_LISTED) contradictions.push({ user, backend: name, movedTo, moveId });
          continue;
        }
        if (old === undefined) created += 1;
        else changed += 1;
        if (isDryRun) continue;
        const backend = backends.byName(name);
        backend.addedUsers += 1;
        if (old === undefined) insertUser.run(user, backend.id);
        else {
          old.addedUsers -= 1;
          updateUser.run(backend.id, user);
        }
        record(user, "import", old?.name, name);
      }
      backends.writeCounts();
      return { taken, created, changed, unchanged, refused, refusals, contradicted, contradictions };
    },
  };

  /** The backends that a batch meets: each is looked up once, and counted once. */
  function openBackends() {
    const ids = new Map<number, Backend>();
    const names = new Map<string, Backend>();
    const add = (id: number, name: string): Backend => {
      const backend = { id, name, addedUsers: 0 };
      ids.set(id, backend);
      names.set(name, backend);
      return backend;
    };
    return {
      byId: (id: number): Backend => ids.get(id) ?? add(id, findBackendName.one(id)?.[0] ?? ""),
      byName: (name: string): Backend => names.get(name) ?? add(backendId(name), name),
      writeCounts(): void {
        for (const { id, addedUsers } of ids.values()) if (addedUsers !== 0) addToCount.run(addedUsers, id);
      },
    };
  }
}
