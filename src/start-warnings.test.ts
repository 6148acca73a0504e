import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../test/support/scratch-folder.ts";
import { syslogWarning } from "./start-warnings.ts";

test("syslog is there as a socket, or its lines are lost", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "log");
  const lost = `warning: there is no syslog at ${path}: the log is lost; `;
  assert.equal(syslogWarning(true, path), `${lost}set log.to, or run without -D`);
  writeFileSync(path, "");
  assert.equal(syslogWarning(false, path), `${lost}set log.to to a file or stderr`);
  const server = createServer().listen(join(folder, "socket"));
  t.after(() => server.close());
  await once(server, "listening");
  assert.equal(syslogWarning(true, join(folder, "socket")), undefined);
});
