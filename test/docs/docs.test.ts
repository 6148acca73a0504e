import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { formatFault } from "../../src/config/format-fault.ts";
import { loadConfig } from "../../src/config/load.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGES = globSync(["*.md", "docs/*.md"], { cwd: ROOT }).toSorted();

const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");

for (const page of PAGES)
  test(`${page}: every link leads somewhere`, () => {
    const targets = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    const broken = targets.filter((target) => {
      const [file = "", anchor] = target.split("#");
      if (/^https?:/.test(target)) return false;
      const linked = file === "" ? page : join(dirname(page), file);
      return !existsSync(join(ROOT, linked)) || (anchor !== undefined && !anchorsOf(linked).has(anchor));
    });
    assert.deepEqual(broken, []);
  });

function anchorsOf(page: string): Set<string> {
  const titles = [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => title);
  return new Set(
    titles.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("docs/flow.md names files that exist, and functions and methods that their folder has", () => {
  const text = textOf("docs/flow.md");
  const files = [...text.matchAll(/`(src\/[\w/-]+\.ts)`/g)].map(([, file = ""]) => file);
  assert.ok(files.length > 20);
  assert.deepEqual(
    files.filter((file) => !existsSync(join(ROOT, file))),
    [],
  );
  const source = new Map(
    globSync("src/**/*.ts", { cwd: ROOT })
      .filter((file) => !file.endsWith(".test.ts"))
      .map((file) => [file, textOf(file)]),
  );
  const named = [...text.matchAll(/`(?:(\w+)\.)?(#?\w+)\(\)`/g)];
  assert.ok(named.length > 20);
  const missing = named
    .filter(([, owner, name = ""]) => {
      const isDefined = new RegExp(String.raw`^(?:  )?(?:export )?(?:async )?(?:function )?${name}\(`, "m");
      const isOwner = new RegExp(String.raw`(?:class|interface) ${owner}\b`);
      return ![...source.values()].some((code) => isDefined.test(code) && (owner === undefined || isOwner.test(code)));
    })
    .map(([whole]) => whole);
  assert.deepEqual(missing, []);
});

const CONFIGURATIONS = PAGES.flatMap((page) =>
  [...textOf(page).matchAll(/^```yaml\n((?:version|config):[^]*?)^```/gm)].map(([, text = ""]) => ({ page, text })),
);

test("the configurations in the pages are faultless", async (t) => {
  assert.ok(CONFIGURATIONS.length >= 2);
  const path = join(scratchFolder(t), "config.yaml");
  for (const { page, text } of CONFIGURATIONS) {
    writeFileSync(path, text);
    const result = await loadConfig(path);
    const faults = result.kind === "faulty" ? result.faults : result.warnings;
    assert.equal(faults.map(formatFault).join(""), "", page);
  }
});
