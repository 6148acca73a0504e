import type { Route } from "../routing/route.ts";

/** What a view says, in the shape of a table's answer. `absent` may bounce mail, `failed` only ever delays it. */
export type ViewAnswer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

export const ABSENT: ViewAnswer = { kind: "absent" };

export const found = (value: string): ViewAnswer => ({ kind: "found", value });

export const failed = (reason: string): ViewAnswer => ({ kind: "failed", reason });

/** For those who cannot be told to come again in a way of their own. */
export const held = (route: Extract<Route, { kind: "hold" }>): ViewAnswer => failed(describeHold(route));

export function describeHold({ userKey, source }: Extract<Route, { kind: "hold" }>): string {
  const reason = source.kind === "hold" && source.reason !== "" ? `: ${source.reason}` : "";
  return `${userKey} is on hold${reason}`;
}
