/** Why the router chose what it chose: enough for a log line and for `mailshunt route`. */
export type RouteSource =
  /** Somebody, or a move, pauses the user's deliveries. */
  | { readonly kind: "hold"; readonly owner: string; readonly reason: string }
  | { readonly kind: "directory" }
  | { readonly kind: "table"; readonly table: string; readonly key: string }
  | { readonly kind: "fallback" }
  | { readonly kind: "none" };

/** Where a recipient's mail goes. The one decision that LMTP, commands and views share. */
export type Route =
  | { readonly kind: "deliver"; readonly userKey: string; readonly backend: string; readonly source: RouteSource }
  | { readonly kind: "hold"; readonly userKey: string; readonly source: RouteSource }
  | { readonly kind: "refuse"; readonly userKey: string; readonly source: RouteSource }
  | { readonly kind: "unknown"; readonly userKey: string; readonly answer: "defer" | "reject" }
  | { readonly kind: "failed"; readonly userKey: string; readonly source: RouteSource; readonly reason: string };
