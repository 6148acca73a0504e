import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CA_CERTIFICATE } from "../../../test/support/certificates.ts";
import { faultsOf } from "../../../test/support/open-type.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { URL_TABLE } from "./url-table.ts";

const URL_OF_APP = "http://app/{}";

const wrong: readonly [name: string, options: Readonly<Record<string, unknown>>, fault: RegExp][] = [
  ["no URL", {}, /"url" is missing/],
  ["no placeholder", { url: "http://app/user" }, /^url: .*is missing/],
  ["no scheme", { url: "app/user/{}" }, /^url: .*no scheme/],
  [
    "a status that is none",
    { absent_status: ["40"] },
    /^absent_status.0: expected a status such as 404, or 4xx, got "40"/,
  ],
  ["another class", { absent_status: ["404", "5xx"] }, /^absent_status.1: expected a status/],
  ["a failure as absent", { absent_status: ["503"] }, /^absent_status.0: 503 .* would bounce mail/],
  ["too many requests as absent", { absent_status: ["429"] }, /would bounce mail/],
  ["200 as absent", { absent_status: ["200"] }, /200 cannot mean absent/],
  ["100 as absent", { absent_status: ["100"] }, /100 cannot mean absent/],
  ["a misspelt format", { format: "jason" }, /^format: .*did you mean "json"/],
  ["a user alone", { user: "me" }, /"user" and "password" go together/],
  ["a password alone", { password: "secret" }, /"user" and "password" go together/],
  ["a user with a colon", { user: "a:b", password: "secret" }, /a "user" with a colon/],
  [
    "two ways to authenticate",
    { user: "me", password: "secret", bearer_token: "secret" },
    /more than one authentication/,
  ],
  [
    "a header and a token",
    { headers: { Authorization: "secret" }, bearer_token: "secret" },
    /more than one authentication/,
  ],
  ["the URL and a token", { url: "http://a:secret@app/{}", bearer_token: "secret" }, /more than one authentication/],
  ["a header's name", { headers: { "X Key": "1" } }, /"X Key" is no name of a header/],
  ["a header of ours", { headers: { "Content-Length": "1" } }, /Content-Length cannot be set/],
  ["a header's value", { headers: { "X-Key": "secret\r\nX: y" } }, /the value of header X-Key has characters/],
  ["a token of several lines", { bearer_token: "secret\nX: y" }, /"bearer_token" has characters/],
  [
    "a token that is not there",
    { bearer_token: { file: "/nonexistent/token" } },
    /^bearer_token: cannot read \/nonexistent\/token/,
  ],
  [
    "a CA that is not there",
    { url: "https://app/{}", ca_file: "/nonexistent/ca" },
    /^ca_file: cannot read \/nonexistent\/ca/,
  ],
  ["no connections", { pool: "0" }, /^pool: /],
];
for (const [name, options, fault] of wrong)
  test(`a fault: ${name}`, () => {
    const faults = faultsOf(URL_TABLE, name === "no URL" ? options : { url: URL_OF_APP, ...options });
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(faults[0] ?? "", fault);
    assert.doesNotMatch(faults[0] ?? "", /secret/);
  });

test("a CA is for TLS", (t) => {
  const path = join(scratchFolder(t), "ca.pem");
  writeFileSync(path, CA_CERTIFICATE);
  assert.deepEqual(faultsOf(URL_TABLE, { url: "https://app/{}", ca_file: path }), []);
  assert.deepEqual(faultsOf(URL_TABLE, { url: URL_OF_APP, ca_file: path }), ['"ca_file" is for https:// alone']);
});
