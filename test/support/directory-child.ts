/** A process with a directory of its own, started by `directory-process.ts`: PATH and what to do. */
import { systemClock } from "../../src/core/clock.ts";
import type { Directory, UserEntry } from "../../src/directory/directory.ts";
import { openDirectory, openDirectoryReader } from "../../src/directory/open-directory.ts";

/** Moves that go on side by side, so that their writes share commits. */
const LANES = 8;

const [, , path = "", task = "", first = "0"] = process.argv;
const options = { store: { kind: "sqlite", path } } as const;
const say = (message: unknown): void => void process.send?.(message);

/** Never ends: it is to be killed. Says each step that was acknowledged, as [user, step]. */
async function moveAll(directory: Directory): Promise<void> {
  let number = Number(first);
  async function moveNext(): Promise<never> {
    for (;;) {
      const user = `u${number}`;
      const id = `m${number}`;
      number += 1;
      const author = { who: `move:${id}`, why: "killed soon" };
      const step = { entryJson: '"lock"', state: "lock", isActive: true };
      const hold = { user, owner: `move:${id}`, reason: "", deadlineMs: systemClock.wallMs() + 600_000 };
      await directory.users.set(user, "old", author);
      say([user, 1]);
      await directory.moves.create([{ id, user, from: "old", to: "new", optionsJson: "{}", state: "planned" }], author);
      say([user, 2]);
      await directory.moves.append(id, step);
      say([user, 3]);
      const { generation } = await directory.holds.place(hold, author);
      say([user, 4]);
      const switched = { ...step, entryJson: '"switched"', state: "switched" };
      const nowMs = systemClock.wallMs();
      await directory.moves.switch({ moveId: id, backend: "new", generation, nowMs, step: switched }, author);
      say([user, 5]);
      await directory.moves.append(id, { entryJson: '"done"', state: "done", isActive: false });
      say([user, 6]);
      await directory.holds.release({ user, owner: author.who }, author);
      say([user, 7]);
    }
  }
  await Promise.all(Array.from({ length: LANES }, moveNext));
}

/** In the order of their keys, so that they are written at once. */
function* endlessUsers(): Generator<UserEntry> {
  for (let number = 0; ; number += 1) yield { user: `u${String(number).padStart(9, "0")}`, backend: `b${number % 3}` };
}

async function run(): Promise<void> {
  if (task === "read") {
    const reader = openDirectoryReader(options);
    process.on("message", (user: string) => say(reader.find(user)));
    say("open");
    return;
  }
  const directory = await openDirectory(options);
  say("open");
  if (task === "move") await moveAll(directory);
  if (task === "import") await directory.users.import(endlessUsers(), { author: { who: "import", why: "test" } });
}

process.on("disconnect", () => process.exit());
run().catch((error: unknown) => say({ error: String(error), code: (error as { code?: unknown }).code }));
