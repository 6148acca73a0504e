import assert from "node:assert/strict";
import { test } from "node:test";
import { belongs, decodeIterateFlags, findPath, isUnsorted, sortRows } from "./iteration.ts";

const DIRECT = decodeIterateFlags(0);
const RECURSIVE = decodeIterateFlags(1);
const EXACT = decodeIterateFlags(16);

test("flags by their bits", () => {
  const none = { isRecursive: false, sortsByKey: false, sortsByValue: false, omitsValues: false, isExactKey: false };
  assert.deepEqual(decodeIterateFlags(0), none);
  assert.deepEqual(decodeIterateFlags(1), { ...none, isRecursive: true });
  assert.deepEqual(decodeIterateFlags(2), { ...none, sortsByKey: true });
  assert.deepEqual(decodeIterateFlags(4), { ...none, sortsByValue: true });
  assert.deepEqual(decodeIterateFlags(8), { ...none, omitsValues: true });
  assert.deepEqual(decodeIterateFlags(16), { ...none, isExactKey: true });
  assert.deepEqual(decodeIterateFlags(32 + 64 + 2 ** 31), none);
  assert.deepEqual(decodeIterateFlags(9), { ...none, isRecursive: true, omitsValues: true }, "doveadm dict iter -R -V");
});

const cases = [
  { key: "shared/foo/a", path: "shared/foo/", direct: true, recursive: true, exact: false },
  { key: "shared/foo/a/b", path: "shared/foo/", direct: false, recursive: true, exact: false },
  { key: "shared/foo/", path: "shared/foo/", direct: true, recursive: true, exact: true },
  { key: "shared/foo", path: "shared/foo/", direct: false, recursive: false, exact: false },
  { key: "shared/foo", path: "shared/foo", direct: true, recursive: true, exact: true },
  { key: "shared/foobar", path: "shared/foo", direct: true, recursive: true, exact: false },
  { key: "shared/foo/a", path: "shared/foo", direct: false, recursive: true, exact: false },
  { key: "priv/foo/a", path: "shared/foo/", direct: false, recursive: false, exact: false },
  { key: "shared/Foo/a", path: "shared/foo/", direct: false, recursive: false, exact: false },
];
for (const { key, path, direct, recursive, exact } of cases)
  test(`${key} in ${path}`, () => {
    assert.equal(belongs(key, path, DIRECT), direct, "direct children");
    assert.equal(belongs(key, path, RECURSIVE), recursive, "recursive");
    assert.equal(belongs(key, path, EXACT), exact, "exact");
    assert.equal(belongs(key, path, decodeIterateFlags(17)), recursive, "recursion wins, as in Dovecot");
  });

test("a key that several paths yield comes with the first of them", () => {
  const paths = ["shared/a/", "shared/", "shared/a/b/"];
  assert.equal(findPath("shared/a/x", paths, RECURSIVE), "shared/a/");
  assert.equal(findPath("shared/x", paths, RECURSIVE), "shared/");
  assert.equal(findPath("shared/a/b/x", paths, DIRECT), "shared/a/b/");
  assert.equal(findPath("priv/x", paths, RECURSIVE), undefined);
});

const rows = [
  { key: "shared/b", value: "2" },
  { key: "shared/c", value: "10" },
  { key: "shared/a", value: "2" },
  { key: "shared/d/e", value: "0" },
  { key: "priv/x", value: "1" },
];

function keysOf(found: readonly { key: string }[]): string[] {
  return found.map(({ key }) => key);
}

test("rows are sorted as asked, by text, and equal ones keep their order", () => {
  assert.deepEqual(keysOf(sortRows(rows, decodeIterateFlags(0))), keysOf(rows));
  assert.deepEqual(keysOf(sortRows(rows, decodeIterateFlags(2))), [
    "priv/x",
    "shared/a",
    "shared/b",
    "shared/c",
    "shared/d/e",
  ]);
  const byValue = ["shared/d/e", "priv/x", "shared/c", "shared/b", "shared/a"];
  assert.deepEqual(keysOf(sortRows(rows, decodeIterateFlags(4))), byValue);
  assert.deepEqual(keysOf(sortRows(rows, decodeIterateFlags(6))), keysOf(sortRows(rows, decodeIterateFlags(2))));
  assert.deepEqual(sortRows([{ key: "b" }, { key: "a", value: "" }], decodeIterateFlags(4)), [
    { key: "b" },
    { key: "a", value: "" },
  ]);
  assert.ok(
    isUnsorted(decodeIterateFlags(25)) && !isUnsorted(decodeIterateFlags(2)) && !isUnsorted(decodeIterateFlags(4)),
  );
});
