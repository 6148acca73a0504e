import assert from "node:assert/strict";
import { test } from "node:test";
import { compareMailboxes } from "./compare-mailboxes.ts";
import type { MailboxReport, Side } from "./compare-mailboxes.ts";
import { normalizeHeaders, toSets } from "./folder-contents.ts";
import { isOwn, toFolder } from "./imap-mailbox.ts";
import type { MailboxReader } from "./mailbox-reader.ts";
import { toPath } from "./probe-lmtp.ts";

interface FakeMessage {
  readonly id: string;
  readonly flags?: readonly string[];
  readonly sizeBytes?: number;
  readonly uid?: number;
}

type FakeFolders = Readonly<Record<string, readonly FakeMessage[]>>;

/** A mailbox in memory, which counts the messages whose headers were read. */
function fakeSide(folders: FakeFolders): Side & { headersRead: number } {
  let open: readonly FakeMessage[] = [];
  const uidOf = (message: FakeMessage, index: number): number => message.uid ?? index + 1;
  const reader: MailboxReader = {
    folders: async () =>
      Object.keys(folders).map((name) => ({ path: name, name, isSelectable: true, isSubscribed: false })),
    examine: async (path) => {
      open = folders[path] ?? [];
      return { count: open.length, uidValidity: "1" };
    },
    async *facts() {
      for (const [index, message] of open.entries())
        yield { uid: uidOf(message, index), flags: new Set(message.flags), sizeBytes: message.sizeBytes ?? 100 };
    },
    async *headers(uids) {
      const wanted = new Set(
        uids.split(",").flatMap((range) => {
          const [first = 0, last = first] = range.split(":").map(Number);
          return Array.from({ length: last - first + 1 }, (_, index) => first + index);
        }),
      );
      for (const [index, message] of open.entries()) {
        const uid = uidOf(message, index);
        if (!wanted.has(uid)) continue;
        side.headersRead += 1;
        yield { uid, headers: Buffer.from(`Message-ID: <${message.id}>\r\n\r\n`) };
      }
    },
    close: async () => undefined,
  };
  const side = { reader, memory: new Map(), headersRead: 0 };
  return side;
}

const DEFAULTS = { ignoreFolders: [], ignoreFlags: [], ignoreSizes: false };
const compare = (from: Side, to: Side, options = {}): Promise<MailboxReport> =>
  compareMailboxes(from, to, { ...DEFAULTS, ...options }, new AbortController().signal);

const cases: readonly {
  readonly name: string;
  readonly from: FakeFolders;
  readonly to: FakeFolders;
  readonly options?: object;
  readonly want: readonly string[];
}[] = [
  {
    name: "equal, in another order",
    from: { A: [{ id: "1" }, { id: "2" }] },
    to: { A: [{ id: "2" }, { id: "1" }] },
    want: [],
  },
  { name: "\\Recent", from: { A: [{ id: "1", flags: ["\\Recent"] }] }, to: { A: [{ id: "1" }] }, want: [] },
  {
    name: "flags in another case",
    from: { A: [{ id: "1", flags: ["$MDNSent", "\\Seen"] }] },
    to: { A: [{ id: "1", flags: ["\\seen", "$mdnsent"] }] },
    want: [],
  },
  {
    name: "flags",
    from: { A: [{ id: "1", flags: ["\\Seen"] }] },
    to: { A: [{ id: "1" }] },
    want: ["A: 1 with other flags (1 in the old store, 1 in the new one)"],
  },
  {
    name: "flags that are ignored",
    from: { A: [{ id: "1", flags: ["$Junk"] }] },
    to: { A: [{ id: "1" }] },
    options: { ignoreFlags: ["$junk"] },
    want: [],
  },
  {
    name: "size",
    from: { A: [{ id: "1" }] },
    to: { A: [{ id: "1", sizeBytes: 9 }] },
    want: ["A: 1 with another size (1 in the old store, 1 in the new one)"],
  },
  {
    name: "size that is ignored",
    from: { A: [{ id: "1" }] },
    to: { A: [{ id: "1", sizeBytes: 9 }] },
    options: { ignoreSizes: true },
    want: [],
  },
  {
    name: "missing",
    from: { A: [{ id: "1" }, { id: "2" }] },
    to: { A: [{ id: "1" }] },
    want: ["A: 1 missing in the new store (2 in the old store, 1 in the new one)"],
  },
  {
    name: "twice",
    from: { A: [{ id: "1" }] },
    to: { A: [{ id: "1" }, { id: "1" }] },
    want: ["A: 1 in the new store alone (1 in the old store, 2 in the new one)"],
  },
  {
    name: "one for another",
    from: { A: [{ id: "1" }] },
    to: { A: [{ id: "2" }] },
    want: ["A: 1 missing in the new store, 1 in the new store alone (1 in the old store, 1 in the new one)"],
  },
  {
    name: "flags of two swapped",
    from: { A: [{ id: "1", flags: ["a"] }, { id: "2" }] },
    to: { A: [{ id: "1" }, { id: "2", flags: ["a"] }] },
    want: ["A: 2 with other flags (2 in the old store, 2 in the new one)"],
  },
  {
    name: "folder missing, though empty",
    from: { A: [] },
    to: {},
    want: ["A: the folder is missing in the new store"],
  },
  { name: "empty folder more", from: { INBOX: [] }, to: { INBOX: [], A: [] }, want: [] },
  {
    name: "folder more",
    from: { INBOX: [] },
    to: { INBOX: [], A: [{ id: "1" }] },
    want: ["A: the folder is in the new store alone, with 1 messages"],
  },
  {
    name: "ignored folders, with those below",
    from: { Spam: [{ id: "1" }], "Spam/x": [], Spammy: [] },
    to: { Spammy: [] },
    options: { ignoreFolders: ["Spam"] },
    want: [],
  },
  {
    name: "many that look alike",
    from: { A: Array.from({ length: 1500 }, () => ({ id: "same" })) },
    to: { A: Array.from({ length: 1500 }, (_, index) => ({ id: "same", flags: index === 7 ? ["x"] : [] })) },
    want: ["A: 1 with other flags (1500 in the old store, 1500 in the new one)"],
  },
];

for (const { name, from, to, options, want } of cases)
  test(`compares: ${name}`, async () => {
    const report = await compare(fakeSide(from), fakeSide(to), options);
    assert.deepEqual(report.lines, want);
    assert.equal(report.differences > 0, want.length > 0);
  });

test("a second comparison reads the headers of new messages alone", async () => {
  const messages = [
    { id: "1", uid: 4 },
    { id: "2", uid: 9 },
  ];
  const folders = { A: [...messages] };
  const [from, to] = [fakeSide(folders), fakeSide(folders)];
  await compare(from, to);
  assert.equal(from.headersRead, 2);
  folders.A.push({ id: "3", uid: 12 });
  folders.A.shift();
  const report = await compare(from, to);
  assert.equal(report.differences, 0);
  assert.equal(from.headersRead, 3);
});

test("a folder of 100,000 messages takes little memory", async () => {
  const many = Array.from({ length: 100_000 }, (_, index) => ({ id: `m${index}` }));
  const [from, to] = [fakeSide({ A: many }), fakeSide({ A: many.toReversed() })];
  assert.equal((await compare(from, to)).differences, 0);
  const contents = from.memory.get("A");
  assert.ok(contents);
  const { uids, identities, sizes, flags } = contents;
  const bytes = [uids, identities, sizes, flags].reduce((sum, array) => sum + array.buffer.byteLength, 0);
  assert.ok(bytes <= 28 * 100_000, `${bytes} bytes`);
});

test("headers are the same however they are folded, ordered and spaced", () => {
  const one = normalizeHeaders(Buffer.from("Message-ID: <a@b>\r\nSubject: one\r\n two\r\n\r\n"));
  const other = normalizeHeaders(Buffer.from("subject:  one two\nMessage-Id:\n\t<a@b>\n\n"));
  assert.equal(one, other);
});

test("sets of UIDs", () => {
  assert.deepEqual(toSets([1, 2, 3, 7, 9, 10]), ["1:3,7,9:10"]);
  assert.deepEqual(toSets([]), []);
  const odd = Array.from({ length: 301 }, (_, index) => index * 2 + 1);
  assert.deepEqual(
    toSets(odd).map((set) => set.split(",").length),
    [300, 1],
  );
});

for (const [path, delimiter, prefixes, name] of [
  ["INBOX.Sent", ".", ["INBOX."], "Sent"],
  ["INBOX", ".", ["INBOX."], "INBOX"],
  ["inbox", "/", [""], "INBOX"],
  ["A.B", ".", [""], "A/B"],
  ["A/B", ".", [""], "A\\/B"],
] as const)
  test(`folder ${path} with ${delimiter} is ${name}`, () => {
    const folder = toFolder({ path, delimiter, flags: new Set(), subscribed: true }, prefixes);
    assert.equal(folder.name, name);
  });

for (const [address, path] of [
  ["ada@example.com", "ada@example.com"],
  ["ada", "ada"],
  ["q uoted@example.com", '"q uoted"@example.com'],
  ['a"b\\@example.com', '"a\\"b\\\\"@example.com'],
  ["usér@example.com", "us\u00c3\u00a9r@example.com"],
] as const)
  test(`${address} is asked as ${path}`, () => assert.equal(toPath(address), path));

for (const address of ["a\r\nDATA@example.com", "a@b> X<c"])
  test(`${JSON.stringify(address)} is never asked`, () => assert.throws(() => toPath(address)));

/** As `side`, but with something that a store does wrong. */
const changed = (side: Side, reader: Partial<MailboxReader>): Side => ({
  ...side,
  reader: { ...side.reader, ...reader },
});

test("a store that shows fewer messages than it has is told, also where both do so", async () => {
  const hiding = (): Side => {
    const side = fakeSide({ A: [{ id: "1" }] });
    return changed(side, { examine: async (path) => ({ ...(await side.reader.examine(path)), count: 3 }) });
  };
  const { differences, lines } = await compare(hiding(), hiding());
  assert.equal(differences, 4);
  assert.deepEqual(lines, [
    "A: the old store has 2 messages more than it shows",
    "A: the new store has 2 messages more than it shows",
  ]);
});

test("two folders of one name are not taken for one", async () => {
  const folder = { isSelectable: true, isSubscribed: false };
  const flags = new Set<string>();
  const both = ["INBOX", "INBOX.Inbox"].map((path) =>
    toFolder({ path, delimiter: ".", flags, subscribed: false }, ["INBOX."]),
  );
  const one = fakeSide({ INBOX: [] });
  const two = changed(fakeSide({ INBOX: [] }), { folders: async () => both });
  await assert.rejects(compare(two, one), /two folders that would both be INBOX: "INBOX" and "INBOX.Inbox"/);
  await assert.rejects(compare(one, two), /the new store has two folders/);
  const notOne = changed(fakeSide({ INBOX: [] }), {
    folders: async () => [
      { ...folder, path: "A", name: "A" },
      { ...folder, path: "a", name: "A", isSelectable: false },
    ],
  });
  assert.equal((await compare(notOne, fakeSide({ A: [] }))).differences, 0);
});

test("an old store without any folder is at fault, and not empty", async () => {
  await assert.rejects(compare(fakeSide({}), fakeSide({ INBOX: [] })), /lists no folder at all/);
});

test("folders that others share are not the user's", () => {
  const own = (paths: readonly string[], personal: readonly string[], foreign: readonly string[]): readonly string[] =>
    paths.filter((path) => isOwn(path, personal, foreign));
  // Cyrus without altnamespace: what all share has no prefix.
  const cyrus = ["INBOX", "INBOX.Sent", "user.bob", "public.news"];
  assert.deepEqual(own(cyrus, ["INBOX."], ["user.", ""]), ["INBOX", "INBOX.Sent"]);
  const dovecot = ["Inbox", "Sent", "shared/bob/Sent", "Public/news"];
  assert.deepEqual(own(dovecot, [""], ["shared/", "Public/"]), ["Inbox", "Sent"]);
  assert.deepEqual(own(["INBOX", "A"], [""], []), ["INBOX", "A"]);
  assert.deepEqual(own(["INBOX", "A"], [], []), ["INBOX", "A"]);
});
