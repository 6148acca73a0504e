import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

/** One line to the client and its answer, or undefined when the client has gone. */
export type Ask = (challenge: string) => Promise<string | undefined>;

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");
const plain = (text: string): string => Buffer.from(text, "base64").toString("utf8");

const SCRAM_SALT = Buffer.from("salt-of-the-fake");
const SCRAM_ITERATIONS = 4096;

/** The server's side of one AUTH command: whether the client knows the password. `undefined`: unknown mechanism or client gone. */
export async function authenticate(
  line: string,
  secret: { readonly user: string; readonly password: string },
  ask: Ask,
): Promise<boolean | undefined> {
  const [, mechanism = "", initial] = line.split(" ");
  switch (mechanism.toUpperCase()) {
    case "PLAIN": {
      const answer = initial ?? (await ask(""));
      if (answer === undefined) return undefined;
      return plain(answer) === `\0${secret.user}\0${secret.password}`;
    }
    case "LOGIN": {
      const user = initial ?? (await ask(base64("Username:")));
      const password = await ask(base64("Password:"));
      if (user === undefined || password === undefined) return undefined;
      return plain(user) === secret.user && plain(password) === secret.password;
    }
    case "CRAM-MD5": {
      const challenge = "<1896.697170952@fake.example>";
      const answer = await ask(base64(challenge));
      if (answer === undefined) return undefined;
      const digest = createHmac("md5", secret.password).update(challenge).digest("hex");
      return plain(answer) === `${secret.user} ${digest}`;
    }
    case "SCRAM-SHA-256":
      return scram(initial, secret, ask);
    default:
      return undefined;
  }
}

/** RFC 5802 and 7677, without channel binding. */
async function scram(
  initial: string | undefined,
  secret: { readonly user: string; readonly password: string },
  ask: Ask,
): Promise<boolean | undefined> {
  const first = initial ?? (await ask(""));
  if (first === undefined) return undefined;
  const opened = /^n,(?:a=[^,]*)?,(n=([^,]*),r=([^,]+))$/.exec(plain(first));
  const bare = opened?.[1];
  if (opened === null || bare === undefined) return false;
  const nonce = `${opened[3] ?? ""}fakeNonce`;
  const serverFirst = `r=${nonce},s=${base64(SCRAM_SALT)},i=${SCRAM_ITERATIONS}`;
  const answer = await ask(base64(serverFirst));
  if (answer === undefined) return undefined;
  const closed = /^(c=biws,r=([^,]+)),p=(.+)$/.exec(plain(answer));
  if (closed === null || closed[2] !== nonce || opened[2] !== secret.user) return false;

  const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
  const salted = pbkdf2Sync(secret.password, SCRAM_SALT, SCRAM_ITERATIONS, 32, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const authMessage = `${bare},${serverFirst},${closed[1] ?? ""}`;
  const signature = hmac(createHash("sha256").update(clientKey).digest(), authMessage);
  const proof = Buffer.from(closed[3] ?? "", "base64");
  const expected = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
  if (proof.length !== expected.length || !timingSafeEqual(proof, expected)) return false;
  const serverSignature = hmac(hmac(salted, "Server Key"), authMessage);
  return (await ask(base64(`v=${base64(serverSignature)}`))) !== undefined;
}
