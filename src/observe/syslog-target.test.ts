import assert from "node:assert/strict";
import { test } from "node:test";
import { installFakeLogger } from "../../test/support/fake-logger.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { textOf, waitForFileText } from "../../test/support/file-text.ts";
import { openSyslogTarget } from "./syslog-target.ts";
import type { SyslogOptions } from "./syslog-target.ts";

function optionsWith(binFolder: string, changed: Partial<SyslogOptions> = {}): SyslogOptions {
  return {
    tag: "mailshunt/lmtp",
    pid: 4711,
    environment: { PATH: `${binFolder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/notify" },
    onTrouble: () => {},
    ...changed,
  };
}

test("lines reach logger with our tag and pid, and not systemd's socket", async (t) => {
  const logger = installFakeLogger(scratchFolder(t));
  const target = openSyslogTarget(optionsWith(logger.binFolder));
  const sent = await new Promise<number>((resolve) => target.send(Buffer.from("<22>one\n<20>two\n"), resolve));
  await target.close();
  assert.equal(sent, 16);
  assert.equal(textOf(logger.linesPath), "<22>one\n<20>two\n");
  assert.equal(
    textOf(logger.startsPath),
    "--prio-prefix --priority mail.info --tag mailshunt/lmtp --id=4711 --size 8192 notify=\n",
  );
});

test("a logger that dies is started again and gets what came meanwhile", async (t) => {
  const logger = installFakeLogger(scratchFolder(t), { dieAfterLines: 1 });
  const trouble: string[] = [];
  let onDeath = (): void => {};
  const target = openSyslogTarget(
    optionsWith(logger.binFolder, {
      firstRestartMs: 5,
      onTrouble: (reason) => {
        trouble.push(reason);
        onDeath();
      },
    }),
  );
  const died = new Promise<void>((resolve) => (onDeath = resolve));
  target.send(Buffer.from("one\n"), () => {});
  await died;
  await new Promise<number>((resolve) => target.send(Buffer.from("two\n"), resolve));
  await waitForFileText(logger.linesPath, /^one\ntwo\n$/);
  await target.close();
  assert.equal(trouble[0], "logger ended with exit code 3, started again in 5 ms");
});

test("without a logger program there is a reason and no crash", async () => {
  let target: ReturnType<typeof openSyslogTarget> | undefined;
  const reason = await new Promise<string>((resolve) => {
    target = openSyslogTarget(
      optionsWith("/nonexistent", { environment: { PATH: "/nonexistent" }, onTrouble: resolve }),
    );
  });
  await target?.close();
  assert.equal(reason, "logger cannot be started: spawn logger ENOENT, started again in 500 ms");
});
