import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BerWriter } from "ldapts";
import { fillFilter, filterInputs, prune } from "./fill-filter.ts";
import { parseFilter } from "./filter.ts";
import type { FilterTemplate } from "./filter.ts";

function parse(text: string): FilterTemplate {
  const parsed = parseFilter(text);
  if (parsed.kind === "bad") throw new Error(parsed.reason);
  return parsed.value;
}

/** As it goes to the server for a key; undefined where it is not asked. */
function encode(text: string, key: string): string | undefined {
  const inputs = filterInputs(key);
  const pruned = prune(parse(text), inputs);
  if (pruned === undefined) return undefined;
  const writer = new BerWriter();
  fillFilter(pruned, inputs).write(writer);
  return writer.buffer.toString("latin1");
}

/** Bytes of RFC 4511, written by hand; no length here is above 127. */
const encodings: readonly [filter: string, key: string, bytes: string][] = [
  ["(mail={key})", "a@b", "\xa3\x0b\x04\x04mail\x04\x03a@b"],
  [" ( mail ={key}) ", "a@b", "\xa3\x0b\x04\x04mail\x04\x03a@b"],
  ["(mail>={key})", "a", "\xa5\x09\x04\x04mail\x04\x01a"],
  ["(mail<={key})", "a", "\xa6\x09\x04\x04mail\x04\x01a"],
  ["(mail~={key})", "a", "\xa8\x09\x04\x04mail\x04\x01a"],
  ["(&(mail={key})(uid=*))", "a", "\xa0\x10\xa3\x09\x04\x04mail\x04\x01a\x87\x03uid"],
  [
    "(|(cn={localpart})\n  (!(o={domain})))",
    "a@b",
    "\xa1\x13\xa3\x07\x04\x02cn\x04\x01a\xa2\x08\xa3\x06\x04\x01o\x04\x01b",
  ],
  ["(cn=x{key}*y*{domain})", "a", "\xa4\x10\x04\x02cn\x30\x0a\x80\x02xa\x81\x01y\x82\x01a"],
  ["(cn=*{key}*)", "a", "\xa4\x09\x04\x02cn\x30\x03\x81\x01a"],
  ["(cn={key}*)", "a", "\xa4\x09\x04\x02cn\x30\x03\x80\x01a"],
  ["(cn:dn:2.5.13.5:={key})", "a", "\xa9\x14\x81\x082.5.13.5\x82\x02cn\x83\x01a\x84\x01\xff"],
  ["(:caseExactMatch:={key})", "a", "\xa9\x13\x81\x0ecaseExactMatch\x83\x01a"],
  ["(1.2.840.113556.1.4.656={key})", "a", "\xa3\x1b\x04\x161.2.840.113556.1.4.656\x04\x01a"],
  ["(cn;lang-de={key})", "a", "\xa3\x0f\x04\x0acn;lang-de\x04\x01a"],
  ["(cn=\\2a{key}\\c3\\a9)", "a", "\xa3\x0a\x04\x02cn\x04\x04*a\xc3\xa9"],
  ["(cn=é{key}\\ff)", "a", "\xa3\x0a\x04\x02cn\x04\x04\xc3\xa9a\xff"],
  // Whatever a key holds is a value.
  ["(cn={key})", "*)(b=\\2a", "\xa3\x0e\x04\x02cn\x04\x08*)(b=\\2a"],
  ["(cn={key})", "{domain}", "\xa3\x0e\x04\x02cn\x04\x08{domain}"],
  ["(cn={key})", "\udcff", "\xa3\x07\x04\x02cn\x04\x01\xff"],
];
for (const [filter, key, bytes] of encodings)
  test(`${JSON.stringify(filter)} for ${JSON.stringify(key)}`, () => {
    assert.equal(encode(filter, key), bytes);
  });

const pruned: readonly [filter: string, key: string, asked: string | undefined][] = [
  ["(mail={key})", "", undefined],
  ["(mail=*{localpart}*)", "@b", undefined],
  ["(&(a={key})(b={localpart}))", "@b", undefined],
  ["(|(a={key})(b={localpart}))", "@b", "(|(a={key}))"],
  ["(|(b={localpart})(!(c={localpart})))", "@b", undefined],
  ["(!(b={localpart}))", "@b", undefined],
  ["(&(a={key})(b=*))", "x", "(&(a={key})(b=*))"],
];
for (const [filter, key, asked] of pruned)
  test(`an empty word compares with nothing: ${filter} for ${JSON.stringify(key)}`, () => {
    assert.deepEqual(prune(parse(filter), filterInputs(key)), asked === undefined ? undefined : parse(asked));
  });

const faults: readonly [filter: string, reason: string][] = [
  ["mail={key}", 'a filter stands in parentheses, such as "(mail={key})", at "mail={key}"'],
  ["", 'a filter stands in parentheses, such as "(mail={key})", at the end'],
  ["(mail={key}", 'a ")" is missing, at the end'],
  ["(mail={key}))", 'there must be nothing behind the filter, at ")"'],
  ["(&(mail={key})", 'a ")" is missing, at the end'],
  ["(&)", 'there is nothing to combine, at ")"'],
  ["(&mail={key})", 'there is nothing to combine, at "mail={key})"'],
  ["(mail)", 'expected a comparison such as "mail={key}", got "mail"'],
  ["(={key})", 'expected a comparison such as "mail={key}", got "={key}"'],
  ["(mail=x)", "{key}, {localpart} or {domain} must stand in the filter"],
  ["(mail={mail})", 'there is no "{mail}": known are {key}, {localpart} and {domain}'],
  ["(mail={kye})", 'there is no "{kye}": known are {key}, {localpart} and {domain}; did you mean "key"?'],
  ["({key}=x)", 'expected a comparison such as "mail={key}", got "{key}=x"'],
  ["(mail={key}\\)", 'a backslash wants two hexadecimal digits, such as \\2a: "\\"'],
  ["(mail=\\zz{key})", 'a backslash wants two hexadecimal digits, such as \\2a: "\\zz"'],
  ["(mail=a**{key})", "two stars must not stand side by side in a value of mail"],
  ["(mail>=a*{key})", 'a star only stands behind "=": write \\2a for one in "a*{key}"'],
  ["(:={key})", 'a matching rule or an attribute must stand before ":=" in ":={key}"'],
  [`${"(!".repeat(200)}(mail={key})${")".repeat(200)}`, "it is nested too deeply"],
];
for (const [filter, reason] of faults)
  test(`no filter: ${JSON.stringify(filter.slice(0, 30))}`, () => {
    assert.deepEqual(parseFilter(filter), { kind: "bad", reason });
  });

test("any text is a filter or has a fault", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."(&|!)mail={key}*\\2a:dn;<>~ ") }),
      (text) => void parseFilter(text),
    ),
  );
});

test("no key changes the shape of the filter", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (key) => {
      const bytes = Buffer.from(encode("(&(a=1)(cn={key}))", key) ?? "", "latin1");
      assert.deepEqual(bytes.subarray(bytes.length - Buffer.byteLength(key)), Buffer.from(key));
      assert.equal(bytes.indexOf("\x04\x01a\x04\x011", 0, "latin1") > 0, true);
    }),
  );
});
