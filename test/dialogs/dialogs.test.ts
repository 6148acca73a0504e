import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import test from "node:test";
import { parseDialog, type Dialog, type StoreSetup } from "../support/dialog.ts";
import {
  startFakeBackend,
  type Behaviour,
  type FakeBackend,
  type FakeBackendOptions,
  type FakeEvent,
  type Script,
  type StageContext,
} from "../support/fake-backend.ts";
import { startProxy } from "../support/in-process-proxy.ts";
import { connectLmtp, type LmtpClient } from "../support/lmtp-client.ts";

const CHUNKINGS = ["whole", 1, 7] as const;

for (const path of globSync(join(import.meta.dirname, "*.dialog")).sort()) {
  const dialog = parseDialog(readFileSync(path, "utf8"));
  for (const chunking of dialog.setup.chunkings ?? CHUNKINGS)
    test(`${basename(path, ".dialog")}${chunking === "whole" ? "" : `, ${chunking} bytes at a time`}`, () =>
      play(dialog, chunking === "whole" ? undefined : chunking));
}

async function play(dialog: Dialog, chunkBytes: number | undefined): Promise<void> {
  const { stores: setups, probe = true, chunkings: _, ...options } = dialog.setup;
  await using resources = new AsyncDisposableStack();
  const stores = new Map<string, FakeBackend>();
  for (const [name, setup] of Object.entries(setups))
    stores.set(name, resources.use(await startFakeBackend(toFakeOptions(setup))));
  const backends = Object.fromEntries(
    [...stores].map(([name, { endpoint }]) => {
      const { lowercaseDomain = true, auth } = setups[name] ?? {};
      return [name, { lmtp: endpoint, lowercaseDomain, ...(auth === undefined ? {} : { credentials: auth }) }];
    }),
  );
  const proxy = resources.use(await startProxy({ ...options, backends }));
  if (probe)
    for (const pool of proxy.world.pools.values()) {
      pool.probe();
      while (pool.capabilities === undefined) await new Promise((resolve) => setImmediate(resolve));
    }
  const client = resources.use(await connectLmtp(proxy.endpoint));

  const replyLines: string[] = [];
  let isOver = false;
  for (const turn of dialog.turns) {
    const where = `line ${turn.line}`;
    switch (turn.kind) {
      case "send":
        await client.send(turn.bytes, chunkBytes === undefined ? {} : { chunkBytes });
        break;
      case "greet":
        await client.lhlo();
        break;
      case "expect": {
        if (replyLines.length === 0) replyLines.push(...(await nextReply(client, where)).split("\n"));
        const got = replyLines.shift() ?? "";
        if (typeof turn.text === "string") assert.equal(got, turn.text, where);
        else assert.match(got, turn.text, where);
        break;
      }
      case "client":
        isOver = true;
        if (turn.does === "closes") client.end();
        else client.reset();
        break;
      case "server-closes":
        isOver = true;
        await client.closed();
        break;
      case "store": {
        const store = stores.get(turn.store);
        assert.ok(store, where);
        if (turn.does === "releases") store.release();
        else await store.waitFor(turn.does.slice("waits ".length) as FakeEvent);
        break;
      }
    }
  }
  assert.deepEqual([replyLines, client.unread()], [[], ""]);
  if (!isOver) await client.expectInStep();

  for (const { store: name, commands, bodies } of dialog.stores) {
    const store = stores.get(name);
    assert.ok(store, `there is no store ${name}`);
    await store.waitFor("command", commands.length);
    await store.waitFor("dot", bodies.length);
    if (commands.length > 0) assert.deepEqual(store.commands, commands, `commands of ${name}`);
    assert.deepEqual(
      store.delivered.map(({ body }) => body.toString("latin1")),
      bodies,
      `bodies of ${name}`,
    );
  }
  for (const [name, store] of stores) assert.deepEqual(store.violations, [], `violations at ${name}`);
}

async function nextReply(client: LmtpClient, where: string): Promise<string> {
  try {
    return await client.reply();
  } catch (error) {
    throw new Error(where, { cause: error });
  }
}

function toFakeOptions(setup: StoreSetup): FakeBackendOptions {
  const { script = {}, keywords, enhanced, endOfData, auth } = setup;
  const entries = Object.entries(script).map(([stage, entry]) => [stage, toBehaviour(entry)]);
  return {
    ...(keywords === undefined ? {} : { keywords }),
    ...(enhanced === undefined ? {} : { enhanced }),
    ...(endOfData === undefined ? {} : { endOfData }),
    ...(auth === undefined ? {} : { auth }),
    script: Object.fromEntries(entries) as Script,
    // Shorter than the proxy's own timeouts: what only these bring about is not what a dialog shows.
    patienceMs: 3000,
  };
}

/** One behaviour for all, or one by recipient. */
function toBehaviour(entry: Behaviour | Readonly<Record<string, Behaviour>>): Script["rcpt"] {
  if (typeof entry === "string" || Array.isArray(entry) || "do" in entry) return entry as Behaviour;
  const byRecipient = entry as Readonly<Record<string, Behaviour>>;
  return ({ recipient }: StageContext) => byRecipient[recipient];
}
