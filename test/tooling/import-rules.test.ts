import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../support/scratch-folder.ts";

const root = join(import.meta.dirname, "..", "..");

/** Who may import whom, written down a second time: the linter's configuration is what is tested here. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ["core"],
  net: ["core"],
  process: ["core"],
  protocols: ["core", "wire"],
  packed: ["core"],
  yaml: ["core", "packed"],
  tables: ["core", "packed"],
  directory: ["core"],
  routing: ["core"],
  views: ["core"],
  backends: ["core", "net", "protocols"],
  relay: ["core", "protocols", "routing", "backends"],
  store: ["core", "protocols"],
  servers: ["core", "net", "protocols", "relay", "store", "tables", "views"],
  observe: ["core"],
  config: ["core", "packed", "yaml", "tables"],
  moves: ["core", "directory", "routing", "backends"],
  cli: ["core", "config", "admin"],
};
const everything = Object.keys(allowed).filter((folder) => folder !== "cli");
const folders = [...Object.keys(allowed), "workers", "admin"];

function mayImport(from: string, to: string): boolean {
  return (allowed[from] ?? everything).includes(to);
}

interface Planted {
  readonly file: string;
  readonly code: string;
  readonly isForbidden: boolean;
}

function plantAll(): Planted[] {
  const planted: Planted[] = [];
  const plant = (file: string, code: string, isForbidden: boolean) => planted.push({ file, code, isForbidden });
  for (const from of folders) {
    for (const to of folders)
      if (to !== from) plant(`${from}/${to}.ts`, `import { x } from "../${to}/x.ts"; x();`, !mayImport(from, to));
    plant(`${from}/own.ts`, `import { x } from "./x.ts"; x();`, false);
    plant(`${from}/entry.ts`, `import { x } from "../main.ts"; x();`, true);
    plant(`${from}/daemon.ts`, `import { x } from "../daemon.ts"; x();`, from !== "cli");
    plant(`${from}/test.ts`, `import { x } from "../../test/support/x.ts"; x();`, true);
    plant(`${from}/deep/down/new.ts`, `import { x } from "../../../tables/x.ts"; x();`, true);
    plant(`${from}/x.test.ts`, `import { x } from "../../test/support/x.ts"; x();`, false);
  }
  for (const form of [`export * from`, `export { x } from`, `import type { X } from`, `import x, * as y from`])
    plant(`core/${form.replaceAll(/\W+/g, "-")}.ts`, `${form} "../net/x.ts";`, true);
  plant("core/later.ts", `await import("../net/x.ts");`, true);

  const type = `import type { Route } from "ROUTE"; export type Mine = Route;`;
  const value = `import { route } from "ROUTE"; route();`;
  for (const [file, path] of [
    ["protocols/type.ts", "../routing/route.ts"],
    ["protocols/lmtp/type.ts", "../../routing/route.ts"],
    ["views/type.ts", "../routing/route.ts"],
    ["routing/type.ts", "../tables/table.ts"],
    ["routing/type2.ts", "../directory/directory.ts"],
  ] as const) {
    plant(file, type.replace("ROUTE", path), false);
    plant(file.replace("type", "value"), value.replace("ROUTE", path), true);
    plant(file.replace("type", "other"), type.replace("ROUTE", path.replace(/[a-z]+\.ts/, "other.ts")), true);
  }
  plant("protocols/lmtp/wire.ts", `import { x } from "../../wire/x.ts"; x();`, false);
  plant("protocols/lmtp/up.ts", `import { x } from "../dict/x.ts"; x();`, false);
  plant("protocols/lmtp/net.ts", `import { x } from "../../net/x.ts"; x();`, true);
  plant("directory/sqlite/up.ts", `import { x } from "../x.ts"; x();`, false);
  plant("directory/sqlite/core.ts", `import { x } from "../../core/x.ts"; x();`, false);
  plant("directory/sqlite/routing.ts", `import { x } from "../../routing/x.ts"; x();`, true);
  plant("tables/types/up.ts", `import { x } from "../table.ts"; x();`, false);
  plant("tables/types/yaml.ts", `import { x } from "../../yaml/x.ts"; x();`, false);
  plant("tables/types/servers.ts", `import { x } from "../../servers/x.ts"; x();`, true);
  plant("config/schemas.ts", `import { x } from "../servers/options.ts"; x();`, false);
  plant(
    "tables/socketmap/socketmap-table.ts",
    `import { x } from "../../net/x.ts"; import { y } from "../../protocols/socketmap/y.ts"; x(y);`,
    false,
  );
  plant("tables/ldap/connection.ts", `import { x } from "../../net/x.ts"; x();`, false);
  plant("tables/ldap/packed.ts", `import { x } from "../../packed/x.ts"; x();`, true);
  plant("tables/sql/net.ts", `import { x } from "../../net/x.ts"; x();`, true);
  plant("cli/demo.ts", `import { x } from "../relay/x.ts"; x();`, true);
  plant("tables/socketmap/socketmap-x.ts", `import { x } from "../../relay/x.ts"; x();`, true);

  for (const from of folders.filter((folder) => !["net", "workers", "admin"].includes(folder)))
    for (const module of ["net", "tls", "dgram", "http", "https", "http2"])
      plant(`${from}/socket-${module}.ts`, `import { connect } from "node:${module}"; connect();`, true);
  plant("net/socket.ts", `import { connect } from "node:net"; connect(1);`, false);
  plant("core/address.ts", `import { isIP } from "node:net"; isIP("::1");`, false);
  plant(
    "servers/address.ts",
    `import { BlockList, type Socket } from "node:net"; export type S = Socket; new BlockList();`,
    false,
  );
  return planted;
}

/** The files that break the import rules, according to the linter. */
async function lint(folder: string): Promise<string[]> {
  const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint");
  const output = await new Promise<string>((resolve) => {
    const args = [oxlint, "--format=json", "src"];
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 64 * 2 ** 20 }, (_error, stdout) => resolve(stdout));
  });
  const report = JSON.parse(output) as { diagnostics: { code?: string; filename: string }[] };
  const broken = report.diagnostics.filter(({ code }) => code === "eslint(no-restricted-imports)");
  return [...new Set(broken.map(({ filename }) => filename))];
}

test("the linter forbids every import that the table does not allow, and no other", async (t) => {
  const scratch = scratchFolder(t);
  // Types are of no matter here, and the files imported do not exist.
  const config = readFileSync(join(root, ".oxlintrc.json"), "utf8").replace('"typeAware": true', '"typeAware": false');
  writeFileSync(join(scratch, ".oxlintrc.json"), config);
  const planted = plantAll();
  for (const { file, code } of planted) {
    const path = join(scratch, "src", file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${code}\n`, { flag: "wx" });
  }
  const want = planted.filter(({ isForbidden }) => isForbidden).map(({ file }) => `src/${file}`);
  assert.deepEqual((await lint(scratch)).sort(), want.sort());
});

test("every folder of src has import rules", () => {
  const present = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(
    present.map(({ name }) => name).filter((name) => !folders.includes(name)),
    [],
  );
});
