import { test } from "node:test";
import type { TestContext } from "node:test";
import type { Clock } from "../../src/core/clock.ts";
import type { Directory, DirectoryReader, NewMove } from "../../src/directory/directory.ts";
import { createFakeClock } from "./fake-clock.ts";
import type { FakeClock } from "./fake-clock.ts";

/** Where one directory is kept; empty at first, and gone with its test. */
export interface DirectoryPlace {
  readonly open: (clock: Clock) => Promise<Directory>;
  readonly openReader: () => DirectoryReader;
}

export interface DirectoryContract {
  readonly name: string;
  readonly start: (t: TestContext) => DirectoryPlace;
}

export interface OpenDirectory {
  readonly directory: Directory;
  readonly clock: FakeClock;
  readonly place: DirectoryPlace;
}

export type DirectoryTest = (what: string, run: (opened: OpenDirectory) => Promise<void>) => void;

/** Each test has a directory of its own, open. */
export function directoryTests({ name, start }: DirectoryContract): DirectoryTest {
  return (what, run) =>
    void test(`${name}: ${what}`, async (t) => {
      const place = start(t);
      const clock = createFakeClock();
      const directory = await place.open(clock);
      // After a failed test too, or its folder would be gone before it. Twice is once.
      t.after(() => directory.close());
      await run({ directory, clock, place });
    });
}

export const ADMIN = { who: "admin", why: "by hand" };

export const newMove = (id: string, user: string): NewMove => ({
  id,
  user,
  from: "old",
  to: "new",
  optionsJson: `{"of":"${id}"}`,
  state: "planned",
});

/** Keys that a store must tell apart, in the byte order of UTF-8. */
export const ODD_KEYS = [
  "\u0001",
  " ",
  "%",
  "'; DROP TABLE users; --",
  "A",
  "_",
  "a",
  "a ",
  "a%",
  "a@example.com",
  "aa",
  "k".repeat(1024),
  "\u00e4",
  "\ud7ff",
  "\ue000x",
  "\uffff",
  "\u{1f600}",
  "\u{10ffff}",
  "\u{10ffff}b",
] as const;
