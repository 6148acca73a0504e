import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { LDAP } from "./ldap-table.ts";

const least = { url: "ldap://a.example", base: "dc=example", filter: "(mail={key})", attributes: ["mailHost"] };

const right: readonly RawOptions[] = [
  least,
  { ...least, starttls: "true", bind_dn: "cn=a", bind_password: "secret", scope: "one", size_limit: "1", pool: "1" },
  { ...least, url: "ldapi://%2Frun%2Fldapi", attributes: ["mail;lang-de", "1.2.3", "dn"] },
];
for (const options of right)
  test(`right: ${JSON.stringify(options)}`, () => {
    assert.deepEqual(faultsOf(LDAP, options), []);
  });

const { url: _url, ...withoutUrl } = least;
const faults: readonly [options: RawOptions, message: string][] = [
  [withoutUrl, '"url" is missing'],
  [
    { ...least, filter: "mail={key}" },
    'filter: a filter stands in parentheses, such as "(mail={key})", at "mail={key}"',
  ],
  [{ ...least, attributes: [] }, '"attributes" must name one at least'],
  [{ ...least, attributes: ["*"] }, `attributes.0: expected an attribute's name, such as mail, got "*"`],
  [{ ...least, scope: "subtree" }, 'scope: expected sub or one or base, got "subtree"'],
  [{ ...least, url: "ldaps://a", starttls: "yes" }, '"starttls" is for ldap://, not for ldaps://'],
  [{ ...least, bind_dn: "cn=a" }, '"bind_dn" needs a "bind_password"'],
  [{ ...least, bind_password: "secret" }, '"bind_password" needs a "bind_dn"'],
  [{ ...least, size_limit: "0" }, "size_limit: must be from 1 to 100000, is 0"],
];
for (const [options, message] of faults)
  test(`not right: ${message}`, () => {
    assert.deepEqual(faultsOf(LDAP, options), [message]);
  });
