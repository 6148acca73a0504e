import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendPool } from "../../backends/pool.ts";
import { systemClock } from "../../core/clock.ts";
import { startFakeBackend } from "../../../test/support/fake-backend.ts";
import type { FakeBackend, Script } from "../../../test/support/fake-backend.ts";
import { ActFailed } from "../tools.ts";
import { probeLmtp } from "./probe-lmtp.ts";

const TIMEOUT_MS = 5_000;

function poolOf({ endpoint }: FakeBackend): BackendPool {
  return new BackendPool(
    {
      name: "new",
      lmtp: endpoint,
      maxConnections: 5,
      maxIdleConnections: 5,
      idleTimeoutMs: 30_000,
      slotTimeoutMs: TIMEOUT_MS,
      lowercaseDomain: true,
      timeouts: {
        connectMs: TIMEOUT_MS,
        greetingMs: TIMEOUT_MS,
        commandMs: TIMEOUT_MS,
        dataMs: TIMEOUT_MS,
        bodyMs: TIMEOUT_MS,
        finalMs: TIMEOUT_MS,
      },
    },
    {
      clock: systemClock,
      log: { write: () => undefined },
      hostname: "shunt.example",
      loopToken: "token",
      disabledBackends: new Set(),
    },
  );
}

const commandsOf = (store: FakeBackend): readonly string[] => store.commands.filter((line) => !line.startsWith("LHLO"));

async function probe(script: Script, address = "ann@x.example") {
  await using store = await startFakeBackend({ script });
  const pool = poolOf(store);
  try {
    await probeLmtp(pool, address, new AbortController().signal);
    await store.waitFor("rset");
    return { fault: undefined, commands: commandsOf(store) };
  } catch (error) {
    assert.ok(error instanceof ActFailed, String(error));
    return { fault: error.message, commands: commandsOf(store) };
  } finally {
    pool.destroy("the test is over");
  }
}

const asked = ["MAIL FROM:<>", "RCPT TO:<ann@x.example>"];

test("a store that takes the user is asked, and nothing is sent to it", async () => {
  assert.deepEqual(await probe({}), { fault: undefined, commands: [...asked, "RSET"] });
});

for (const { name, script, fault } of [
  {
    name: "refuses the user",
    script: { rcpt: "550 5.1.1 no such user" },
    fault: "RCPT TO:<ann@x.example> was answered 550 no such user",
  },
  {
    name: "refuses the sender",
    script: { mail: "451 4.3.0 not now", rcpt: "503 5.5.1 MAIL first" },
    fault: "MAIL FROM:<> was answered 451 not now",
  },
  {
    name: "closes instead of answering RCPT",
    script: { rcpt: { do: "close" } },
    fault: "RCPT TO:<ann@x.example>: connection closed by the store",
  },
] as const)
  test(`a store that ${name} is not ready`, async () => {
    assert.equal((await probe(script)).fault, fault);
  });

test("a session that had died while nobody looked is replaced", async () => {
  await using store = await startFakeBackend({
    script: { mail: ({ use }) => (use === 2 ? { do: "close" } : undefined) },
  });
  const pool = poolOf(store);
  try {
    for (const times of [1, 2]) {
      await probeLmtp(pool, "ann@x.example", new AbortController().signal);
      await store.waitFor("rset", times);
    }
    assert.equal(store.count("connection"), 2);
  } finally {
    pool.destroy("the test is over");
  }
});
