import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { MoveDetails, MoveService, StartRequest, StartResult } from "../../src/moves/move-service.ts";
import { newMove } from "../support/directory-contract-parts.ts";
import { ADMIN, query, startApi } from "./api.ts";
import type { Answered, Api, ApiOptions } from "./api.ts";

/** The mailbox of `ada` was moved from `old` to `new`, and of `tim`, who has no entry any more, to `gone`. */
async function startMoved(t: TestContext, options: ApiOptions = {}): Promise<Api> {
  const api = await startApi(t, options);
  await move(api, "m1", "ada", "new");
  await move(api, "m2", "tim", "gone");
  await api.directory.users.unset("tim", ADMIN);
  return api;
}

async function move({ directory, clock }: Api, id: string, user: string, to: string): Promise<void> {
  const author = { who: `move:${id}`, why: "" };
  await directory.moves.create([{ ...newMove(id, user), to }], ADMIN);
  const hold = { user, owner: author.who, reason: "", deadlineMs: clock.wallMs() + 9 };
  const { generation } = await directory.holds.place(hold, author);
  const step = { entryJson: "1", state: "done", isActive: false };
  await directory.moves.switch({ moveId: id, backend: to, generation, nowMs: clock.wallMs(), step }, author);
  await directory.holds.release({ user, owner: author.who }, author);
}

const refusalOf = ({ status, json }: Answered): unknown => {
  const { title, detail, ...members } = json as Record<string, unknown>;
  return { ...members, status, title, detail };
};

const REFUSED = {
  status: 409,
  title: "Moved elsewhere",
  backend: "new",
  move: "m1",
};

test("nobody comes to live away from the mailbox that was moved, unless somebody knows better", async (t) => {
  const { ask, directory } = await startMoved(t);
  const put = (body: object): Promise<Answered> => ask("PUT", "/v1/user", { body: { user: "ada", ...body } });
  const refused = {
    ...REFUSED,
    detail:
      "move m1 has put the mailbox in new: mail would go to old, and a later move would copy over what is in new; " +
      "to move the mailbox too: mailshunt move start --to old ada",
  };
  for (const dry of [true, false]) assert.deepEqual(refusalOf(await put({ backend: "old", dry_run: dry })), refused);
  assert.equal(directory.findBackend("ada"), "new");
  assert.deepEqual((await put({ backend: "new" })).json, { user: "ada", from: "new", to: "new", changed: false });
  assert.equal((await put({ backend: "old", confirmed: true })).status, 200);
  assert.equal(directory.findBackend("ada"), "old");
  // As it is, and back to the mailbox: nothing that has to be asked.
  assert.equal((await put({ backend: "old" })).status, 200);
  assert.equal((await put({ backend: "new" })).status, 200);
});

test("a store that the configuration no longer has cannot be copied over", async (t) => {
  const { ask } = await startMoved(t);
  assert.equal((await ask("PUT", "/v1/user", { body: { user: "tim", backend: "old" } })).status, 200);
});

test("an entry is not removed where tables and fallback name another store than the mailbox's", async (t) => {
  const api = await startMoved(t, { routing: { fallback: "old" } });
  const remove = (more: Readonly<Record<string, string>> = {}): Promise<Answered> =>
    api.ask("DELETE", query("/v1/user", { user: "ada", ...more }));
  assert.partialDeepStrictEqual(refusalOf(await remove()), {
    ...REFUSED,
    detail:
      "move m1 has put the mailbox in new: mail would go to old, and a later move would copy over what is in new; " +
      "to move the mailbox too: mailshunt move start --to old ada",
  });
  assert.equal((await remove({ confirmed: "true" })).status, 200);
  assert.equal(api.directory.findBackend("ada"), undefined);
  assert.equal((await remove()).status, 200);

  const other = await startMoved(t, { routing: { fallback: "new" } });
  assert.equal((await other.ask("DELETE", query("/v1/user", { user: "ada" }))).status, 200);
  const nowhere = await startMoved(t);
  const { detail } = refusalOf(await nowhere.ask("DELETE", query("/v1/user", { user: "ada" }))) as { detail: string };
  assert.match(detail, /: mail would go nowhere, as no table and no fallback names a backend, and /);
});

test("an import of how it was leaves alone who was moved since, and says so", async (t) => {
  const { ask, directory } = await startMoved(t);
  const send = async (more: Readonly<Record<string, string>>): Promise<unknown> =>
    (await ask("POST", query("/v1/users/import", more), { raw: "ada,old\ntim,old\nnew,old\n" })).json;
  const wanted = {
    read: 3,
    created: 2,
    changed: 0,
    contradicted: 1,
    contradictions: [{ user: "ada", backend: "old", moved_to: "new", move: "m1" }],
  };
  assert.partialDeepStrictEqual(await send({ dry_run: "true" }), wanted);
  assert.partialDeepStrictEqual(await send({}), wanted);
  assert.equal(directory.findBackend("ada"), "new");
  assert.partialDeepStrictEqual(await send({ confirmed: "true" }), { changed: 1, unchanged: 2, contradicted: 0 });
  assert.equal(directory.findBackend("ada"), "old");
});

/** Plans all that it is asked for, from where the directory says. */
function fakeMoves(asked: StartRequest[], api: () => Api): MoveService {
  const start = (request: StartRequest): Promise<StartResult> => {
    asked.push(request);
    const planned = request.users.map((user) => ({
      moveId: request.isDryRun === true ? undefined : `${user}-1`,
      user,
      from: api().directory.findBackend(user) ?? "old",
      to: request.to,
    }));
    return Promise.resolve({ batchId: "b", planned, refused: [] });
  };
  const failed = { id: "m9", user: "ada", from: "old", to: "new" } as MoveDetails;
  const retry = (): Promise<unknown> => Promise.resolve({ kind: "refused", why: "retried" });
  return { start, show: () => failed, retry } as unknown as MoveService;
}

test("no move copies over the mailbox that was moved, and the others of its batch go on", async (t) => {
  const asked: StartRequest[] = [];
  const api: Api = await startMoved(t, { services: { moves: fakeMoves(asked, () => api) } });
  const start = (body: object): Promise<Answered> =>
    api.ask("POST", "/v1/moves", { body: { users: ["Ada@example.com", "tim", "new"], to: "new", ...body } });
  await api.directory.users.set("ada", "old", ADMIN);
  assert.deepEqual((await start({})).json, {
    batch: "b",
    planned: [
      { id: "tim-1", user: "tim", from: "old", to: "new" },
      { id: "new-1", user: "new", from: "old", to: "new" },
    ],
    refused: [
      {
        user: "ada",
        why: "moved-elsewhere",
        text:
          "move m1 has put the mailbox in new, but the user now lives in old: what is in old would be copied over it; " +
          "to live with the mailbox again: mailshunt user set --to new ada",
      },
    ],
  });
  assert.deepEqual(
    asked.map(({ users, isDryRun }) => [users, isDryRun]),
    [
      [["ada", "tim"], true],
      [["tim", "new"], false],
    ],
  );
  const confirmed = (await start({ confirmed: true })).json as { planned: unknown[] };
  assert.equal(confirmed.planned.length, 3);
  await api.directory.users.set("ada", "new", ADMIN);
  assert.equal(((await start({ to: "old" })).json as { planned: unknown[] }).planned.length, 3);
});

test("a phase that there is not, and a backend, are faults of who asks", async (t) => {
  const { ask } = await startApi(t, { services: { moves: fakeMoves([], () => assert.fail()) } });
  const listed = await ask("GET", "/v1/moves?phase=faild");
  assert.equal(listed.status, 422);
  assert.match((listed.json as { detail: string }).detail, /^query \/phase: expected one of planned, .*, failed$/);
  const started = await ask("POST", "/v1/moves", { body: { users: ["ada"], to: "nwe" } });
  assert.equal(started.status, 422);
  const { detail } = started.json as { detail: string };
  assert.equal(detail, 'there is no backend "nwe": known are old, new; did you mean "new"?');
});

test("a move that failed is not tried again away from the mailbox", async (t) => {
  const api: Api = await startMoved(t, { services: { moves: fakeMoves([], () => api) } });
  const retry = async (body: object): Promise<string> => {
    const { json } = await api.ask("POST", "/v1/moves/retry", { body: { id: "m9", ...body } });
    return (json as { title: string }).title;
  };
  assert.equal(await retry({}), "Moved elsewhere");
  assert.equal(await retry({ confirmed: true }), "Refused");
});
