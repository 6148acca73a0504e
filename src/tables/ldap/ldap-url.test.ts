import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLdapUrl } from "./ldap-url.ts";

const tcp = (scheme: string, host: string, port: number) => ({ scheme, endpoint: { kind: "tcp", host, port } });

const right: readonly [url: string, value: object][] = [
  ["ldap://a.example", tcp("ldap", "a.example", 389)],
  ["ldap://a.example/", tcp("ldap", "a.example", 389)],
  ["ldap://a.example:3389", tcp("ldap", "a.example", 3389)],
  ["ldaps://a.example", tcp("ldaps", "a.example", 636)],
  ["ldap://[::1]", tcp("ldap", "::1", 389)],
  ["ldaps://[::1]:3636", tcp("ldaps", "::1", 3636)],
  ["ldapi://%2Frun%2Fslapd%2Fldapi", { scheme: "ldapi", endpoint: { kind: "unix", path: "/run/slapd/ldapi" } }],
  ["ldapi://%2frun%2fldapi/", { scheme: "ldapi", endpoint: { kind: "unix", path: "/run/ldapi" } }],
];
for (const [url, value] of right)
  test(url, () => {
    assert.deepEqual(parseLdapUrl(url), { kind: "ok", value });
  });

const EXPECTED = 'expected "ldap://host", "ldaps://host:636" or "ldapi://%2Frun%2Fslapd%2Fldapi"';
const wrong: readonly [url: string, reason: string][] = [
  ["a.example", `${EXPECTED}, got "a.example"`],
  ["http://a.example", `${EXPECTED}, got "http://a.example"`],
  ["ldap://", `${EXPECTED}, got "ldap://"`],
  ["ldap://::1", `${EXPECTED}, got "ldap://::1"`],
  ["ldap://a b", `${EXPECTED}, got "ldap://a b"`],
  ["ldap://a:0", "a port is at least 1"],
  ["ldap://a/dc=example", "an URL of a host and no more: base, filter and user are options of their own"],
  ["ldap://user@a", "an URL of a host and no more: base, filter and user are options of their own"],
  ["ldapi://", `the path behind ldapi:// has %2F for "/": ${EXPECTED}, got "ldapi://"`],
  ["ldapi://%zz", `the path behind ldapi:// has %2F for "/": ${EXPECTED}, got "ldapi://%zz"`],
];
for (const [url, reason] of wrong)
  test(`not ${url}`, () => {
    assert.deepEqual(parseLdapUrl(url), { kind: "bad", reason });
  });
