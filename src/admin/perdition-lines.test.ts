import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserEntry } from "../directory/directory.ts";
import type { LoginPlace } from "../views/places.ts";
import { formatPerdition } from "./perdition-lines.ts";

const PLACE: LoginPlace = { address: { host: "10.0.0.2", port: 143 }, tls: "none" };

async function format(entries: readonly UserEntry[]): Promise<string> {
  let text = "";
  const pages = formatPerdition(
    (async function* () {
      yield* entries;
    })(),
    (backend) => (backend === "new" ? PLACE : undefined),
    "imap",
  );
  for await (const page of pages) text += page;
  return text;
}

test("each user is a line, and who cannot be one is told at the end, with the reason", async () => {
  const entries = ["ann@example.com", "a:b", "bob", "#c"].map((user) => ({ user, backend: "new" }));
  const others = ["x", "y"].map((user) => ({ user, backend: "old" }));
  assert.equal(
    await format([...entries, ...others, { user: "z", backend: "gone" }]),
    `ann@example.com:10.0.0.2:143
bob:10.0.0.2:143
# left out: user "a:b": a colon ends perdition's key
# left out: user "#c": perdition would read another key
# left out: 2 users of backend "old", which has no "imap" in the configuration
# left out: 1 user of backend "gone", which has no "imap" in the configuration
`,
  );
  assert.equal(await format([]), "");
});

test("of many whom perdition cannot be told the first are named", async () => {
  const text = await format(Array.from({ length: 30 }, (_, at) => ({ user: `u:${at}`, backend: "new" })));
  const lines = text.split("\n");
  assert.equal(lines[19], `# left out: user "u:19": a colon ends perdition's key`);
  assert.deepEqual(lines.slice(20), ["# left out: 10 more like them", ""]);
});
