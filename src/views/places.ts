import type { Endpoint } from "../core/endpoint.ts";

/** In what a user logs in. */
export const LOGIN_SERVICES = ["imap", "pop3", "submission"] as const;
export type LoginService = (typeof LOGIN_SERVICES)[number];

/** Where the users of a backend log in. */
export interface LoginPlace {
  readonly address: { readonly host: string; readonly port: number };
  readonly tls: "none" | "starttls" | "implicit";
  readonly master?: { readonly user: string; readonly password: string };
}

/** What views know of a backend. */
export type BackendPlaces = { readonly lmtp: Endpoint } & { readonly [Service in LoginService]?: LoginPlace };

export type Backends = ReadonlyMap<string, BackendPlaces>;
