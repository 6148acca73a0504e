import fc from "fast-check";
import { stuffed, type LmtpClient } from "../support/lmtp-client.ts";

/** One message that a client sends, or means to. */
export interface MessagePlan {
  /** Local parts; their first letter says where they live. */
  readonly users: readonly string[];
  readonly content: string;
  /** How often it comes: makes a message that fills the buffers of sockets. */
  readonly repeated: number;
  readonly isPipelined: boolean;
  readonly how: "DATA" | "BDAT";
  /** `leaves`, `breaks`: FIN or RST before the message is complete. `rset`: takes the envelope back. */
  readonly ends: "complete" | "rset" | "leaves" | "breaks";
  /** How much of the message goes out before a client leaves: of a thousand. */
  readonly permille: number;
}

/** Where users live: `a`, `b`, `c` are stores, the others have no store. */
export const HOMES = ["a", "b", "c", "hold", "refuse", "nobody", "trouble"] as const;

const user = fc
  .tuple(fc.constantFrom("a", "a", "a", "b", "b", "b", "c", ...HOMES), fc.nat(3))
  .map(([home, number]) => `${home}${number}`);

const line = fc.oneof(
  fc.constantFrom("", ".", "..", ".x", "x.", "QUIT", "MAIL FROM:<evil@x>", "\xff\0"),
  fc.string({ maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, "")),
);

/** Line ends as they should be, and sometimes as they should not. */
const content = fc
  .array(fc.tuple(line, fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\n.\n")), { maxLength: 20 })
  .map((lines) => Buffer.from(lines.flat().join(""), "utf8").toString("latin1"));

export const messagePlan: fc.Arbitrary<MessagePlan> = fc.record({
  users: fc.array(user, { minLength: 1, maxLength: 6 }),
  content,
  repeated: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(1000) }),
  isPipelined: fc.boolean(),
  how: fc.constantFrom("DATA" as const, "DATA" as const, "BDAT" as const),
  ends: fc.constantFrom(...(["complete", "complete", "complete", "complete", "rset", "leaves", "breaks"] as const)),
  permille: fc.nat(999),
});

export interface MessageOutcome {
  readonly rcpt: readonly string[];
  /** To DATA or the first chunk; empty where none was sent. */
  readonly data: string;
  /** By recipient of `users`; undefined: none was due. */
  readonly final: readonly (string | undefined)[];
  readonly isComplete: boolean;
}

/** What must come first fails the test at once: replies missing, too many, or out of step. */
export async function sendMessage(
  client: LmtpClient,
  plan: MessagePlan,
  sender: string,
  chunkBytes: number | undefined,
): Promise<MessageOutcome> {
  const cut = chunkBytes === undefined ? {} : { chunkBytes };
  const envelope = [`MAIL FROM:<${sender}>`, ...plan.users.map((name) => `RCPT TO:<${name}@x.example>`)];
  const commands =
    plan.ends === "rset" ? [...envelope, "RSET"] : plan.how === "DATA" ? [...envelope, "DATA"] : envelope;
  const replies: string[] = [];
  if (plan.isPipelined) await client.send(commands.map((text) => `${text}\r\n`).join(""), cut);
  for (const command of commands) {
    if (!plan.isPipelined) await client.send(`${command}\r\n`, cut);
    replies.push(await client.reply());
  }
  if (replies[0]?.startsWith("250 ") !== true) throw new Error(`MAIL answered ${replies[0]}`);
  const rcpt = replies.slice(1, 1 + plan.users.length);
  const outcome = { rcpt, data: "", final: [], isComplete: false };
  if (plan.ends === "rset") {
    await client.expectInStep();
    return outcome;
  }
  return plan.how === "DATA"
    ? sendData(client, plan, { ...outcome, data: replies.at(-1) ?? "" }, cut)
    : sendChunks(client, plan, outcome, cut);
}

async function sendData(
  client: LmtpClient,
  plan: MessagePlan,
  outcome: MessageOutcome,
  cut: { readonly chunkBytes?: number },
): Promise<MessageOutcome> {
  if (!outcome.data.startsWith("354")) {
    await client.expectInStep();
    return outcome;
  }
  if (!outcome.rcpt.some(isPositive)) throw new Error("354 without a recipient");
  // Stuffing works on whole lines: line ends that are none stay what they are.
  const wire = stuffed(contentOf(plan));
  if (plan.ends !== "complete") {
    await client.send(wire.subarray(0, Math.floor(((wire.length - 1) * plan.permille) / 999)), cut);
    leave(client, plan);
    return outcome;
  }
  await client.send(wire, cut);
  return complete(client, outcome);
}

async function sendChunks(
  client: LmtpClient,
  plan: MessagePlan,
  outcome: MessageOutcome,
  cut: { readonly chunkBytes?: number },
): Promise<MessageOutcome> {
  const bytes = contentOf(plan);
  const at = Math.floor((bytes.length * plan.permille) / 999);
  await client.send(Buffer.concat([Buffer.from(`BDAT ${at}\r\n`), bytes.subarray(0, at)]), cut);
  const data = await client.reply();
  if (plan.ends !== "complete") {
    leave(client, plan);
    return { ...outcome, data };
  }
  const rest = bytes.subarray(at);
  await client.send(Buffer.concat([Buffer.from(`BDAT ${rest.length} LAST\r\n`), rest]), cut);
  return complete(client, { ...outcome, data });
}

async function complete(client: LmtpClient, outcome: MessageOutcome): Promise<MessageOutcome> {
  const final: (string | undefined)[] = [];
  for (const reply of outcome.rcpt) final.push(isPositive(reply) ? await client.reply() : undefined);
  await client.expectInStep();
  return { ...outcome, final, isComplete: true };
}

function leave(client: LmtpClient, plan: MessagePlan): void {
  if (plan.ends === "leaves") client.end();
  else client.reset();
}

function contentOf({ content: text, repeated }: MessagePlan): Buffer {
  return Buffer.from(text.repeat(repeated), "latin1");
}

export function isPositive(reply: string | undefined): boolean {
  return reply?.startsWith("2") === true;
}
