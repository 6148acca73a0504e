import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startSetting } from "./setting.ts";

/** Peak resident memory of a process in MiB. Source: proc(5). */
function peakMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Ten times what a hundred connections may cost, so that one that keeps messages fails. */
const CLIENTS = 100;
const MESSAGE_BYTES = 10 * 1024 * 1024;
const ALLOWED_MIB = 100;

test("a hundred large messages at once need no more memory than their sockets' buffers", async (t) => {
  const setting = await startSetting(t, (folder) => ({
    backends: { old: `lmtp: "unix:${folder}/old", max_connections: ${CLIENTS}`, new: `lmtp: "unix:${folder}/new"` },
  }));
  const { old } = setting.stores;
  old.script.body = { do: "slow", pauseMs: 1 };
  const idleMib = peakMib(setting.daemon.pid);
  const piece = Buffer.from(`${"x".repeat(62)}\r\n`.repeat(1024));
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => setting.connect()));
  await Promise.all(
    clients.map(async (client) => {
      await client.send("MAIL FROM:<s@a.example>\r\nRCPT TO:<u@b.example>\r\nDATA\r\n");
      await client.expect("250", "250", "354");
      for (let sent = 0; sent < MESSAGE_BYTES; sent += piece.length)
        if (!client.socket.write(piece)) await once(client.socket, "drain");
      await client.send(".\r\n");
      await client.expect("250");
    }),
  );
  const usedMib = peakMib(setting.daemon.pid) - idleMib;
  assert.ok(usedMib < ALLOWED_MIB, `${usedMib.toFixed(0)} MiB over the idle process`);
  assert.equal(old.delivered.length, CLIENTS);
  assert.ok(old.delivered.every(({ bodyBytes }) => bodyBytes === MESSAGE_BYTES));
});
