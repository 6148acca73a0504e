import assert from "node:assert/strict";
import { appendFileSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { openPacked } from "../../packed/packed-table.ts";
import { readTableFile } from "./file-read.ts";
import type { FileFormat, ReadReply, ReadRequest } from "./file-read.ts";

const request = (path: string, format: FileFormat = "auto"): ReadRequest => ({
  path,
  format,
  foldsKeys: false,
  maxBytes: 100,
});

const bad = (line: number, text: string): ReadReply => ({ kind: "bad", faults: [{ line, text }], faultCount: 1 });

for (const [what, change] of [
  ["written to", (path: string) => appendFileSync(path, "user2 new\n")],
  ["written with as much", (path: string) => writeFileSync(path, "user1 new\n")],
  ["removed", (path: string) => rmSync(path)],
  [
    "replaced",
    (path: string) => {
      writeFileSync(`${path}.new`, "user1 old\n");
      renameSync(`${path}.new`, path);
    },
  ],
] as const)
  test(`a file that is ${what} while it is read is not taken`, (t) => {
    const path = join(scratchFolder(t), "table");
    writeFileSync(path, "user1 old\n");
    // Two changes within one tick of the kernel's clock would have one time.
    utimesSync(path, 1_000, 1_000);
    const reply = readTableFile(request(path), (file) => {
      const bytes = readFileSync(file);
      change(path);
      return bytes;
    });
    assert.deepEqual(reply, { kind: "changing" });
  });

test("of a file that is shorter than it was nothing is taken", (t) => {
  const path = join(scratchFolder(t), "table");
  writeFileSync(path, "user1 old\n");
  const reply = readTableFile(request(path), (file) => readFileSync(file).subarray(0, 5));
  assert.deepEqual(reply, { kind: "changing" });
});

for (const [name, format, content] of [
  ["a.yaml", "auto", "user1: old\n"],
  ["a.YML", "auto", "user1: old\n"],
  ["a.json", "auto", '{"user1":"old"}'],
  ["a", "auto", "user1 old\n"],
  ["a.txt", "auto", "user1 old\n"],
  ["a.json", "postfix", "user1 old\n"],
  ["a.yaml", "json", '{"user1":"old"}'],
  ["a", "yaml", "\ufeffuser1: old\n"],
] as const)
  test(`${name} is read as ${format}`, (t) => {
    const path = join(scratchFolder(t), name);
    writeFileSync(path, content);
    const reply = readTableFile(request(path, format));
    assert.ok(reply.kind === "read");
    assert.deepEqual([...openPacked(reply.packed).entries()], [["user1", "old"]]);
  });

for (const { name, bytes, reply } of [
  { name: "latin-1", bytes: Buffer.from("a b\nm\xfcller c\n", "latin1"), reply: bad(2, "this line is not UTF-8 text") },
  {
    name: "UTF-16",
    bytes: Buffer.from("\ufeffa b\n", "utf16le"),
    reply: bad(1, "the file is UTF-16: save it as UTF-8"),
  },
  {
    name: "a fault",
    bytes: Buffer.from("a b\n\n# x\nc\n"),
    reply: bad(4, 'expected a key, a blank and a value, got "c"'),
  },
  { name: "too much", bytes: Buffer.alloc(101, "a"), reply: bad(0, "it has more than 100B") },
])
  test(`a file with ${name} is told with its line`, (t) => {
    const path = join(scratchFolder(t), "table");
    writeFileSync(path, bytes);
    assert.deepEqual(readTableFile(request(path)), reply);
  });
