import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { encodeText } from "../../wire/text.ts";
import { fillUrlTemplate, parseUrlTemplate, quoteKey } from "./url-template.ts";
import type { UrlTemplate } from "./url-template.ts";

function template(url: string): UrlTemplate {
  const parsed = parseUrlTemplate(url);
  if (parsed.kind === "bad") throw new Error(parsed.reason);
  return parsed.value;
}

const quoted: readonly [string, string][] = [
  ["user@example.com", "user%40example.com"],
  ["AZaz09_.-~/", "AZaz09_.-~/"],
  [
    " !\"#$%&'()*+,:;<=>?@[\\]^`{|}",
    "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D",
  ],
  ["\0\n\r\t\x7f", "%00%0A%0D%09%7F"],
  ["müller", "m%C3%BCller"],
  ["𝄞", "%F0%9D%84%9E"],
  ["\udcff\udc80", "%FF%80"],
  ["%40", "%2540"],
  ["{}§", "%7B%7D%C2%A7"],
];
for (const [key, want] of quoted) test(`quoted: ${JSON.stringify(key)}`, () => assert.equal(quoteKey(key), want));

test("what is quoted holds safe characters alone, and each byte once", () => {
  const arbitraryText = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(arbitraryText, (key) => {
      const escaped = quoteKey(key);
      assert.match(escaped, /^(?:[A-Za-z0-9_.\-~/]|%[0-9A-F]{2})*$/);
      const bytes = Buffer.from(
        escaped.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(String(hex), 16))),
        "latin1",
      );
      assert.deepEqual(bytes, encodeText(key));
    }),
  );
});

const PYTHON = "/usr/bin/python3";
test("every character is quoted as Python does it", { skip: !existsSync(PYTHON) }, () => {
  const keys = [...Array.from({ length: 0x250 }, (_, unit) => String.fromCharCode(unit)), "𝄞", "€"];
  const script =
    "import sys,json,urllib.parse;print(json.dumps([urllib.parse.quote(k) for k in json.load(sys.stdin)]))";
  const wanted: unknown = JSON.parse(execFileSync(PYTHON, ["-c", script], { input: JSON.stringify(keys) }).toString());
  assert.deepEqual(keys.map(quoteKey), wanted);
});

const filled: readonly [url: string, origin: string, path: string][] = [
  ["http://app/user/{}", "http://app", "/user/a%20b"],
  ["HTTP://App:8080/user/§", "http://app:8080", "/user/a%20b"],
  ["https://[::1]:8443/x/{}/y/§?z={}", "https://[::1]:8443", "/x/a%20b/y/a%20b?z=a%20b"],
  ["http://app/{}", "http://app", "/a%20b"],
  ["http://app?key={}", "http://app", "/?key=a%20b"],
  ["http://app/ä b%2F/{}", "http://app", "/%C3%A4%20b%2F/a%20b"],
  ["http://bücher.example/{}", "http://xn--bcher-kva.example", "/a%20b"],
  ["http+unix://%2Frun%2Fapp.sock/user/{}", "http://localhost", "/user/a%20b"],
];
for (const [url, origin, path] of filled)
  test(`filled: ${url}`, () => {
    assert.equal(template(url).origin, origin);
    assert.equal(fillUrlTemplate(template(url), "a b"), path);
  });

test("the path of a unix socket stands in place of the host", () => {
  assert.equal(template("http+unix://%2Frun%2Fmy%20app.sock/user/{}").socketPath, "/run/my app.sock");
  assert.equal(template("http+unix://%2Frun%2Fapp.sock/user/{}").shown, "http+unix://%2Frun%2Fapp.sock/user/{}");
});

test("credentials and queries are not shown", () => {
  const { credentials, shown } = template("http://us%65r:p%40ss@app:81/x/{}?token=secret&k={}");
  assert.deepEqual(credentials, { user: "user", password: "p@ss" });
  assert.equal(shown, "http://app:81/x/{}");
});

test("a key leads nowhere else", () => {
  for (const key of [".", "..", "../x", "a/../b", "a/.", "/../", "./"])
    assert.equal(fillUrlTemplate(template("http://app/user/{}"), key), undefined, key);
  for (const key of ["...", "a.b", ".a", "a/..b", "%2e%2e"])
    assert.notEqual(fillUrlTemplate(template("http://app/user/{}"), key), undefined, key);
  assert.equal(fillUrlTemplate(template("http://app/user/{}/x?y={}"), ".."), undefined);
  assert.equal(fillUrlTemplate(template("http://app/user/.{}"), "."), undefined);
  assert.equal(fillUrlTemplate(template("http://app/user/x.{}"), "."), "/user/x..");
  assert.equal(fillUrlTemplate(template("http://app/user?key={}"), "../x"), "/user?key=../x");
});

const wrong: readonly [url: string, fault: RegExp][] = [
  ["http://app/user/", /\{\} or § stands for the key and is missing/],
  ["app/user/{}", /no scheme/],
  ["//app/user/{}", /no scheme/],
  ["", /no scheme/],
  ["ftp://app/{}", /there is no "ftp:\/\/"/],
  ["https+unix://%2Frun%2Fapp.sock/{}", /there is no "https\+unix:\/\/"/],
  ["http:///user/{}", /its host cannot be read/],
  ["http://a b/{}", /its host cannot be read/],
  ["http://app:99999/{}", /its host cannot be read/],
  ["http://a\\b/{}", /its host cannot be read/],
  ["http://{}/user", /must not say what host is asked/],
  ["http://{}@app/user", /must not say what host is asked/],
  ["http://app/user#{}", /is never sent/],
  ["http://app/../{}", /cannot stand for a part of the path/],
  ["http+unix:///run/app.sock/{}", /stands before the first slash/],
  ["http+unix://run%2Fapp.sock/{}", /stands before the first slash/],
  [`http+unix://%2F${"x".repeat(107)}/{}`, /107 bytes at most/],
  ["http://us%zzer:secret@app/{}", /is written %25/],
];
for (const [url, fault] of wrong)
  test(`a fault: ${url.slice(0, 40)}`, () => {
    const parsed = parseUrlTemplate(url);
    assert.ok(parsed.kind === "bad");
    assert.match(parsed.reason, fault);
    assert.doesNotMatch(parsed.reason, /secret/);
  });
