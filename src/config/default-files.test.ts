import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { hintAtOtherFile } from "./default-files.ts";
import { readConfigFile } from "./parse.ts";

test("where only the file of lmtp-proxy is there, the missing default file's fault names it", (t) => {
  const folder = scratchFolder(t);
  const files = { own: join(folder, "mailshunt.yaml"), lmtpProxy: join(folder, "lmtp-proxy.conf") };
  const faultOf = (path: string): string | undefined => {
    const result = readConfigFile(path, undefined, { defaultFiles: files });
    return result.kind === "faulty" ? result.faults[0]?.message : undefined;
  };
  assert.equal(faultOf(files.own), "cannot read it: there is no such file");
  writeFileSync(files.lmtpProxy, "");
  assert.equal(
    faultOf(files.own),
    `cannot read it: there is no such file (there is ${files.lmtpProxy}: use -c ${files.lmtpProxy})`,
  );
  assert.equal(faultOf(join(folder, "else.yaml")), "cannot read it: there is no such file");
  assert.equal(hintAtOtherFile(files.own), "", "it hints at the system's own files otherwise");
});
