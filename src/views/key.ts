export interface KeyLimits {
  /** Domains of ours, in lower case: nobody else's address is anybody. Undefined: all. */
  readonly domains: ReadonlySet<string> | undefined;
  /** Whether a name without domain is a user's: Postfix sends bare domains, Dovecot bare users. */
  readonly takesBareNames: boolean;
}

/**
 * Whether a key may be a user of ours. Postfix also asks for `*`, for bare domains, for senders and for recipients
 * elsewhere, and a fallback would be the answer to all of them.
 */
export function isUserKey(key: string, { domains, takesBareNames }: KeyLimits): boolean {
  if (key === "*") return false;
  const at = key.endsWith('"') ? -1 : key.lastIndexOf("@");
  if (at === -1) return takesBareNames && key !== "";
  return at > 0 && (domains === undefined || domains.has(key.slice(at + 1).toLowerCase()));
}
