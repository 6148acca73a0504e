import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export type SaslStep =
  | { readonly kind: "send"; readonly text: string }
  /** The server does not prove that it knows the password, or breaks the mechanism's rules. */
  | { readonly kind: "refuse"; readonly reason: string };

/** One login of the client's side. Texts are decoded: the caller does the base64. */
export interface SaslExchange {
  readonly mechanism: string;
  /** Sent with the AUTH command; undefined where the server speaks first. */
  readonly initial: string | undefined;
  onChallenge(challenge: string): SaslStep;
  /** Called at 235: whether the server has done its part. */
  isSatisfied(): boolean;
}

/** Fewest and most rounds of a SCRAM server: RFC 7677 section 4 asks for 4096; the most cost us 50 ms of every session. */
const SCRAM_ITERATIONS = { least: 4096, most: 200_000 } as const;

/** Best mechanism first: those that do not show the password to the store come before those that do. */
const MECHANISMS: Readonly<Record<string, (credentials: Credentials, nonce: string) => SaslExchange>> = {
  "SCRAM-SHA-256": scramSha256,
  "CRAM-MD5": cramMd5,
  PLAIN: plain,
  LOGIN: login,
};

/** Starts a login with the best of the mechanisms a server offers; undefined where we know none of them. */
export function chooseMechanism(
  offered: ReadonlySet<string>,
  credentials: Credentials,
  nonce: string,
): SaslExchange | undefined {
  for (const [mechanism, start] of Object.entries(MECHANISMS))
    if (offered.has(mechanism)) return start(credentials, nonce);
  return undefined;
}

const UNEXPECTED: SaslStep = { kind: "refuse", reason: "the server asks for more than the mechanism has" };

/** RFC 4616. Cyrus wants an empty authorization identity. */
function plain({ user, password }: Credentials): SaslExchange {
  return {
    mechanism: "PLAIN",
    initial: `\0${user}\0${password}`,
    onChallenge: (challenge) => (challenge === "" ? { kind: "send", text: `\0${user}\0${password}` } : UNEXPECTED),
    isSatisfied: () => true,
  };
}

/** draft-murchison-sasl-login: two prompts, whatever they say. */
function login({ user, password }: Credentials): SaslExchange {
  const answers = [user, password];
  return {
    mechanism: "LOGIN",
    initial: undefined,
    onChallenge() {
      const text = answers.shift();
      return text === undefined ? UNEXPECTED : { kind: "send", text };
    },
    isSatisfied: () => true,
  };
}

/** RFC 2195. */
function cramMd5({ user, password }: Credentials): SaslExchange {
  return {
    mechanism: "CRAM-MD5",
    initial: undefined,
    onChallenge: (challenge) => ({
      kind: "send",
      text: `${user} ${createHmac("md5", password).update(challenge).digest("hex")}`,
    }),
    isSatisfied: () => true,
  };
}

/** RFC 5802 and 7677, without channel binding. Passwords are taken as written: SASLprep changes none in ASCII. */
function scramSha256({ user, password }: Credentials, nonce: string): SaslExchange {
  const clientFirst = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  let serverSignature: Buffer | undefined;
  let isProven = false;

  function onServerFirst(serverFirst: string): SaslStep {
    const match = /^r=([^,]+),s=([^,]+),i=(\d{1,9})(?:,|$)/.exec(serverFirst);
    const iterations = Number(match?.[3]);
    if (match?.[1] === undefined || match[2] === undefined || !match[1].startsWith(nonce) || match[1] === nonce)
      return { kind: "refuse", reason: "bad SCRAM challenge" };
    if (iterations < SCRAM_ITERATIONS.least || iterations > SCRAM_ITERATIONS.most)
      return { kind: "refuse", reason: `SCRAM with ${iterations} rounds` };
    const salted = pbkdf2Sync(password.normalize("NFKC"), Buffer.from(match[2], "base64"), iterations, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=biws,r=${match[1]}`;
    const message = `${clientFirst},${serverFirst},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
    serverSignature = hmac(hmac(salted, "Server Key"), message);
    return { kind: "send", text: `${withoutProof},p=${Buffer.from(proof).toString("base64")}` };
  }

  function onServerFinal(signature: Buffer, serverFinal: string): SaslStep {
    const given = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? "", "base64");
    isProven = given.length === signature.length && timingSafeEqual(given, signature);
    return isProven ? { kind: "send", text: "" } : { kind: "refuse", reason: "the server does not know the password" };
  }

  return {
    mechanism: "SCRAM-SHA-256",
    initial: `n,,${clientFirst}`,
    onChallenge: (challenge) =>
      serverSignature === undefined ? onServerFirst(challenge) : onServerFinal(serverSignature, challenge),
    isSatisfied: () => isProven,
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
