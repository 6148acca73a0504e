import { join } from "node:path";

/** What Mailu's web service answers, by path, for some users. Source: core/admin/mailu/internal/views of Mailu. */
export function mailuValues(
  users: readonly string[],
  mailFolder: string,
  others: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const entries: (readonly [string, unknown])[] = users.flatMap((user) => [
    [`postfix/alias/${user}`, user],
    [`postfix/mailbox/${user}`, user],
    [`postfix/sender/login/${user}`, user],
    // Mailu's own web server has checked the password before.
    [`dovecot/passdb/${user}`, { password: null, nopassword: "Y", allow_real_nets: "127.0.0.0/8" }],
    [`dovecot/userdb/${user}`, { quota_rule: "*:bytes=100000000", home: join(mailFolder, user) }],
  ]);
  return Object.fromEntries([...entries, ...Object.entries(others)].map(([key, value]) => [`/internal/${key}`, value]));
}
