import assert from "node:assert/strict";
import { CommandDecoder } from "../../src/protocols/dict/command-decoder.ts";
import { encodeCommitReply, encodeLookupReply, encodeRows } from "../../src/protocols/dict/reply.ts";
import { INITIAL_STATE, onCommand, type DictAction } from "../../src/protocols/dict/session.ts";
import { splitFields } from "../../src/wire/tab-fields.ts";
import { decodeText } from "../../src/wire/text.ts";
import { fuzz, inChunks } from "./corpus.ts";

function play(input: Buffer, chunkBytes: readonly number[]): DictAction[] {
  const decoder = new CommandDecoder();
  const actions: DictAction[] = [];
  let state = INITIAL_STATE;
  inChunks(input, chunkBytes, (chunk) => {
    decoder.push(chunk);
    for (let command = decoder.next(); command !== undefined; command = decoder.next()) {
      const step = onCommand(state, command);
      assert.ok(step.actions.length <= 1);
      state = step.state;
      actions.push(...step.actions);
    }
  });
  return actions;
}

const TOKENS = [
  ..."HLIBSUAPTVCDR",
  ..."\t\n\r\0\x01\xff",
  ..."0123",
  "shared/",
  "priv/",
  "\x01t",
  "H4\t0\t0\t\td\n",
  "B1\tu\n",
  "S1\tpriv/a\tx\n",
  "A1\tpriv/a\t-1\n",
  "C1\n",
  "D1\n",
  "R1\n",
  "Lshared/a\t\n",
];

fuzz("dict", TOKENS, (input, cuts) => {
  const actions = play(input, cuts);
  assert.deepEqual(actions, play(input, [input.length]), "the same in any chunking");
  const lines = input.toString("latin1").split("\n").length - 1;
  assert.ok(actions.length <= lines, "no line is answered twice");
  const [first, ...others] = actions;
  assert.ok(first === undefined || first.kind === "open" || first.kind === "close");
  assert.ok(!others.some(({ kind }) => kind === "open"), "opened once");
  assert.ok(!actions.slice(0, -1).some(({ kind }) => kind === "close"), "nothing after the close");
  const commits = input.toString("latin1").match(/^[CD]/gm)?.length ?? 0;
  assert.ok(actions.filter(({ kind }) => kind === "commit").length <= commits);
  for (const action of actions) checkAction(action);
});

function checkAction(action: DictAction): void {
  switch (action.kind) {
    case "lookup":
      checkKey(action.key, action.user);
      return;
    case "iterate":
      assert.ok(action.paths.length > 0 && action.maxRows > 0);
      for (const path of action.paths) checkKey(path, action.user);
      return;
    case "commit":
      for (const change of action.changes) checkKey(change.key, action.user);
      assert.match(
        asUtf8(encodeCommitReply(action.id, action.isAsync, { kind: "uncertain", reason: action.user })),
        /^A?W\d+\t[^\p{Cc}]*\n$/u,
      );
      return;
    case "close":
      assert.ok(action.reason.length < 1000);
      return;
    case "open":
    case "reply":
      return;
  }
}

/** Whatever came in as a key has an owner, and goes out as one field of one line. */
function checkKey(key: string, user: string): void {
  assert.ok(key.startsWith("shared/") || (key.startsWith("priv/") && user !== ""));
  const lookup = decodeText(Buffer.from(encodeLookupReply({ kind: "found", value: key }, true), "latin1"));
  assert.deepEqual(fieldsOf(lookup), [key]);
  const row = decodeText(encodeRows([{ key, value: user }], { omitsValues: false }));
  assert.deepEqual(fieldsOf(row), [key, user]);
  assert.match(asUtf8(encodeLookupReply({ kind: "failed", reason: key }, true)), /^F[^\p{Cc}]*\n$/u);
}

const asUtf8 = (characters: string): string => Buffer.from(characters, "latin1").toString();

function fieldsOf(reply: string): string[] {
  assert.match(reply, /^O[^\n\r\0]*\n$/);
  return splitFields(reply.slice(1, -1));
}
