import type { UserEntry } from "../directory/directory.ts";
import { toPerditionLine } from "../views/perdition.ts";
import type { LoginPlace } from "../views/places.ts";

/** Size of a page of lines, in characters. */
const PAGE_LENGTH = 65_536;

/** How many users are named whom the format cannot say. */
const MAX_NAMED = 20;

/** No user's line begins so. */
export const LEFT_OUT = "# left out: ";

/**
 * Pages of perdition's map; at its end a comment for each reason why users were left out.
 * @param placeOf where the users of a backend log in
 * @param service as it is called in the configuration
 */
export async function* formatPerdition(
  entries: AsyncIterable<UserEntry>,
  placeOf: (backend: string) => LoginPlace | undefined,
  service: string,
): AsyncGenerator<string> {
  const withoutPlace = new Map<string, number>();
  const named: string[] = [];
  let unsaid = 0;
  let lines = "";
  for await (const { user, backend } of entries) {
    const place = placeOf(backend);
    if (place === undefined) {
      withoutPlace.set(backend, (withoutPlace.get(backend) ?? 0) + 1);
      continue;
    }
    const made = toPerditionLine(user, place);
    if (made.kind === "skipped") {
      unsaid += 1;
      if (named.length < MAX_NAMED) named.push(`user ${JSON.stringify(user)}: ${made.reason}`);
      continue;
    }
    lines += made.line;
    if (lines.length < PAGE_LENGTH) continue;
    yield lines;
    lines = "";
  }
  const reasons = [
    ...named,
    ...(unsaid > named.length ? [`${unsaid - named.length} more like them`] : []),
    ...[...withoutPlace].map(([backend, users]) => describeMissing(backend, users, service)),
  ];
  lines += reasons.map((text) => `${LEFT_OUT}${text}\n`).join("");
  if (lines !== "") yield lines;
}

const describeMissing = (backend: string, users: number, service: string): string =>
  `${users === 1 ? "1 user" : `${users} users`} of backend ${JSON.stringify(backend)}, which has no "${service}" in the configuration`;
