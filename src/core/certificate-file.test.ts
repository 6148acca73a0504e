import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as v from "valibot";
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from "../../test/support/certificates.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { certificateFile } from "./certificate-file.ts";

function read(path: string): string {
  const result = v.safeParse(certificateFile(), path);
  return result.success ? result.output : `fault: ${result.issues[0].message}`;
}

test("the certificates of a file are read, and nothing beside them", (t) => {
  const path = join(scratchFolder(t), "ca.pem");
  writeFileSync(path, `first\n${CA_CERTIFICATE}\nsecond\n${SERVER_CERTIFICATE}${SERVER_KEY}`);
  assert.equal(read(path), `${CA_CERTIFICATE.trim()}\n${SERVER_CERTIFICATE.trim()}`);
});

test("what is no file of certificates is a fault", (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "ca.pem");
  assert.equal(read("ca.pem"), 'fault: expected an absolute path, got "ca.pem"');
  assert.equal(read(path), `fault: cannot read ${path}: there is no such file`);
  mkdirSync(path);
  assert.equal(read(path), `fault: cannot read ${path}: it is a directory, not a file`);
  const key = join(folder, "key.pem");
  writeFileSync(key, SERVER_KEY);
  assert.equal(read(key), `fault: there is no certificate in ${key}: expected -----BEGIN CERTIFICATE-----`);
  writeFileSync(key, `${CA_CERTIFICATE}${CA_CERTIFICATE.replace("M", "N")}`);
  assert.equal(read(key), `fault: certificate 2 in ${key} cannot be read`);
  writeFileSync(key, "x".repeat(4 * 1024 * 1024 + 1));
  assert.match(read(key), /more than 4194304 bytes/);
});
