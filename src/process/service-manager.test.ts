import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { textOf } from "../../test/support/file-text.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { connectServiceManager } from "./service-manager.ts";

test("systemd hears everything in order, and nobody else gets its socket", async (t) => {
  const folder = scratchFolder(t);
  const heard = join(folder, "heard");
  writeFileSync(join(folder, "systemd-notify"), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> '${heard}'\n`);
  chmodSync(join(folder, "systemd-notify"), 0o755);
  const environment: NodeJS.ProcessEnv = { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/notify" };
  const manager = connectServiceManager(environment, assert.fail);
  assert.equal(environment["NOTIFY_SOCKET"], undefined);
  const before = process.hrtime.bigint() / 1000n;
  manager.reloading();
  manager.ready("4 users");
  manager.stopping();
  await manager.settled();
  const usec = /MONOTONIC_USEC=(\d+)/.exec(textOf(heard))?.[1] ?? "0";
  assert.equal(
    textOf(heard),
    `/run/notify RELOADING=1 MONOTONIC_USEC=${usec}\n/run/notify READY=1 STATUS=4 users\n/run/notify STOPPING=1\n`,
  );
  assert.ok(BigInt(usec) >= before && BigInt(usec) <= process.hrtime.bigint() / 1000n);
});

test("without systemd nothing is started", async () => {
  const manager = connectServiceManager({ PATH: "/nonexistent" }, assert.fail);
  manager.ready("");
  await manager.settled();
});

test("a message that cannot be sent is a reason, not a crash", async () => {
  const reasons: string[] = [];
  const manager = connectServiceManager({ PATH: "/nonexistent", NOTIFY_SOCKET: "/x" }, (reason) =>
    reasons.push(reason),
  );
  manager.stopping();
  await manager.settled();
  assert.deepEqual(reasons, ["systemd was not told STOPPING=1: spawn systemd-notify ENOENT"]);
});
