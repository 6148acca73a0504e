import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadConfig } from "../../src/config/load.ts";

const ROOT = join(import.meta.dirname, "../..");
const SAMPLE = join(ROOT, "docs/mailshunt.sample.yaml");
const scratch = mkdtempSync(join(tmpdir(), "mailshunt-docs-"));
after(() => rmSync(scratch, { recursive: true }));

function generate(...args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(process.execPath, [join(ROOT, "scripts/generate-docs.ts"), ...args], { encoding: "utf8" });
}

test("the committed pages are what the schemas generate", () => {
  const { status, stdout } = generate("--check");
  assert.deepEqual([status, stdout], [0, ""]);
});

test("a stale page, and a missing one, are named by --check and written without it", () => {
  assert.equal(generate(scratch).status, 0);
  assert.equal(generate("--check", scratch).status, 0);
  appendFileSync(join(scratch, "docs/reference.md"), "\n");
  rmSync(join(scratch, "docs/mailshunt.sample.yaml"));
  const { status, stdout } = generate("--check", scratch);
  assert.equal(status, 1);
  assert.match(stdout, /^docs\/reference\.md: stale.*\ndocs\/mailshunt\.sample\.yaml: stale.*\n$/);
  assert.equal(generate(scratch).status, 0);
  assert.equal(generate("--check", scratch).status, 0);
});

test("the sample loads as it stands", async () => {
  const result = await loadConfig(SAMPLE);
  assert.deepEqual(result.kind === "loaded" ? result.warnings : result.faults, []);
});

test("the sample with every option uncommented loads, and the defaults it names are the real ones", async () => {
  const passwordPath = join(scratch, "password");
  writeFileSync(passwordPath, "secret\n");
  const text = readFileSync(SAMPLE, "utf8");
  assert.match(text, /^ *#final_timeout: 540s$/m);
  const all = text
    .replaceAll(/^( *)#(?=[a-z_]+:|- )/gm, "$1")
    .replaceAll(/{ file: \/etc\/mailshunt\/[\w.]+ }/g, `{ file: ${passwordPath} }`);
  writeFileSync(join(scratch, "all.yaml"), all);
  const [full, plain] = [await loadConfig(join(scratch, "all.yaml")), await loadConfig(SAMPLE)];
  assert.ok(full.kind === "loaded", JSON.stringify(full));
  assert.ok(plain.kind === "loaded");
  assert.deepEqual(full.warnings, []);
  const {
    credentials,
    imap: _imap,
    pop3: _pop3,
    submission: _submission,
    ...backend
  } = full.config.backends.get("old") ?? assert.fail();
  assert.deepEqual(credentials, { user: "proxy", password: "secret" });
  assert.deepEqual(backend, plain.config.backends.get("old"));
  assert.deepEqual(full.config.log, plain.config.log);
  assert.deepEqual(full.config.routing, plain.config.routing);
  assert.deepEqual({ ...full.config.lmtp, hostname: "" }, { ...plain.config.lmtp, hostname: "" });
  assert.equal(full.config.process.shutdownTimeoutMs, plain.config.process.shutdownTimeoutMs);
});
