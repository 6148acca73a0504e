import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseMechanism } from "./sasl.ts";

test("CRAM-MD5 answers the challenge of RFC 2195", () => {
  const login = { user: "tim", password: "tanstaaftanstaaf" };
  const exchange = chooseMechanism(new Set(["CRAM-MD5", "PLAIN"]), login, "n");
  assert.equal(exchange?.mechanism, "CRAM-MD5");
  assert.deepEqual(exchange?.onChallenge("<1896.697170952@postoffice.reston.mci.net>"), {
    kind: "send",
    text: "tim b913a602c7eda7a495b4e6e7334d3890",
  });
});

function scram() {
  const login = { user: "user", password: "pencil" };
  return chooseMechanism(new Set(["PLAIN", "SCRAM-SHA-256"]), login, "rOprNGfwEbeRWgbNEkqO");
}
const NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SERVER_FIRST = `r=${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;

test("SCRAM-SHA-256 goes as in RFC 7677", () => {
  const exchange = scram();
  assert.equal(exchange?.initial, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  assert.deepEqual(exchange?.onChallenge(SERVER_FIRST), {
    kind: "send",
    text: `c=biws,r=${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
  });
  assert.equal(exchange?.isSatisfied(), false);
  assert.deepEqual(exchange?.onChallenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), { kind: "send", text: "" });
  assert.equal(exchange?.isSatisfied(), true);
});

for (const [name, challenge] of [
  ["another nonce", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"],
  ["our nonce alone", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"],
  ["too few rounds", `r=${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1`],
  ["rounds without end", `r=${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999`],
  ["nonsense", "hello"],
] as const)
  test(`SCRAM-SHA-256 refuses ${name}`, () => assert.equal(scram()?.onChallenge(challenge).kind, "refuse"));

test("SCRAM-SHA-256 refuses a server that does not know the password", () => {
  const exchange = scram();
  exchange?.onChallenge(SERVER_FIRST);
  assert.equal(exchange?.onChallenge("v=AAAA").kind, "refuse");
  assert.equal(exchange?.isSatisfied(), false);
});

test("PLAIN has an empty authorization identity, LOGIN two answers", () => {
  const login = { user: "u", password: "p" };
  assert.equal(chooseMechanism(new Set(["PLAIN", "LOGIN"]), login, "n")?.initial, "\0u\0p");
  const exchange = chooseMechanism(new Set(["LOGIN"]), login, "n");
  const steps = ["Username:", "Password:", "More:"].map((prompt) => exchange?.onChallenge(prompt));
  assert.deepEqual(
    steps.map((step) => (step?.kind === "send" ? step.text : step?.kind)),
    ["u", "p", "refuse"],
  );
});

test("no known mechanism, no login", () => {
  assert.equal(chooseMechanism(new Set(["EXTERNAL", "GSSAPI"]), { user: "u", password: "p" }, "n"), undefined);
});
