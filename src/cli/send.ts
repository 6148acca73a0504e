import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { parseEndpoint, type Endpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import { parseDuration } from "../core/units.ts";
import type { Capabilities } from "../protocols/lmtp/capabilities.ts";
import { INITIAL_HANDSHAKE, onHandshakeReply } from "../protocols/lmtp/client-handshake.ts";
import { parsePath } from "../protocols/lmtp/path.ts";
import { describeReply, isPositive, type Reply } from "../protocols/lmtp/reply.ts";
import type { Credentials } from "../protocols/lmtp/sasl.ts";
import { CommandFault, type CommandIo } from "./command-io.ts";
import { openDialog, type LmtpDialog } from "./lmtp-dialog.ts";
import { encodeMessage, readMessage, testMessage, type OutgoingMessage } from "./outgoing-message.ts";

/** The command line of `mailshunt send`, as text. */
export interface SendOptions {
  /** `unix:/path`, `host:port` or `[v6]:port`. */
  readonly address: string;
  /** Recipients, without angle brackets. Empty: postmaster. */
  readonly to: readonly string[];
  /** Sender; "" is the null sender. Default: postmaster at this host. */
  readonly from?: string | undefined;
  /** Path of the message, `-` for stdin, which is also the default. */
  readonly file?: string | undefined;
  /** For AUTH, with `passwordFile`. */
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
  /** For the connection and for each reply, such as `30s`. Default: 60s. */
  readonly timeout?: string | undefined;
}

/** The envelope and the place, checked. Addresses hold one character a byte. */
interface SendPlan {
  readonly endpoint: Endpoint;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly timeoutMs: number;
  readonly credentials: Credentials | undefined;
}

type Outcome = "accepted" | "later" | "never";

/** RFC 2033 section 4.1: every server takes mail for it. */
const POSTMASTER = "postmaster";

/**
 * `mailshunt send`: one message, one transaction, one line per recipient.
 * @returns 0 when every recipient was accepted, 75 when one of them may be tried again or the server is not there,
 * 67 when one was refused for good, 69 when the server refuses us, 64 and 66 for what is wrong with the command line
 */
export async function runSend(options: SendOptions, io: CommandIo): Promise<number> {
  try {
    const plan = await makePlan(options);
    const message = await findMessage(options, plan, io);
    const dialog = await openDialog(plan.endpoint, plan.timeoutMs);
    try {
      return worst(await converse(dialog, plan, message, io));
    } finally {
      dialog.close();
    }
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error;
    io.stderr.write(`mailshunt send: ${error.message}\n`);
    return error.exitCode;
  }
}

async function makePlan(options: SendOptions): Promise<SendPlan> {
  const parsed = parseEndpoint(options.address);
  if (parsed.kind === "bad") throw new CommandFault(EXIT.usage, parsed.reason);
  const timeout = parseDuration(options.timeout ?? "60s");
  if (timeout.kind === "bad") throw new CommandFault(EXIT.usage, `--timeout: ${timeout.reason}`);
  const recipients = options.to.length === 0 ? [POSTMASTER] : options.to;
  return {
    endpoint: parsed.endpoint,
    sender: checkAddress("--from", options.from ?? `${POSTMASTER}@${hostname()}`),
    recipients: recipients.map((recipient) => checkAddress("--to", recipient)),
    timeoutMs: timeout.value,
    credentials: await readCredentials(options),
  };
}

/** Nothing may leave the angle brackets that it will stand in. */
function checkAddress(option: string, address: string): string {
  const bytes = Buffer.from(address, "utf8").toString("latin1");
  const parsed = parsePath(`TO:<${bytes}>`, "TO:");
  const isEmptyRecipient = bytes === "" && option === "--to";
  if (parsed === undefined || parsed.rest !== "" || parsed.path.text !== bytes || isEmptyRecipient)
    throw new CommandFault(EXIT.usage, `${option}: ${JSON.stringify(address)} is no address`);
  return bytes;
}

async function readCredentials({ user, passwordFile }: SendOptions): Promise<Credentials | undefined> {
  if (user === undefined && passwordFile === undefined) return undefined;
  if (user === undefined || passwordFile === undefined)
    throw new CommandFault(EXIT.usage, "--user and --password-file go together");
  const text = await orNoInput(readFile(passwordFile, "utf8"), passwordFile);
  return { user, password: text.replace(/\r?\n$/, "") };
}

async function findMessage(options: SendOptions, plan: SendPlan, io: CommandIo): Promise<OutgoingMessage> {
  if (options.file !== undefined || io.stdin.isTTY !== true)
    return encodeMessage(await orNoInput(readMessage(options.file, io.stdin), options.file ?? "standard input"));
  io.stderr.write("mailshunt send: no message given, sending a test message\n");
  const text = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");
  return encodeMessage(
    testMessage({
      from: text(plan.sender),
      to: plan.recipients.map(text),
      hostname: hostname(),
      now: new Date(),
      token: randomBytes(12).toString("hex"),
    }),
  );
}

async function orNoInput<Value>(reading: Promise<Value>, path: string): Promise<Value> {
  try {
    return await reading;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CommandFault(EXIT.noInput, `cannot read ${path} (${code})`);
  }
}

async function converse(
  dialog: LmtpDialog,
  plan: SendPlan,
  message: OutgoingMessage,
  io: CommandIo,
): Promise<readonly Outcome[]> {
  const capabilities = await shakeHands(dialog, plan, io);
  const commands = [
    mailLine(plan, message, capabilities),
    ...plan.recipients.map((recipient) => `RCPT TO:<${recipient}>\r\n`),
    "DATA\r\n",
  ];
  const replies: Reply[] = [];
  if (capabilities.pipelining) dialog.send(commands.join(""));
  for (const command of commands) {
    if (!capabilities.pipelining) dialog.send(command);
    replies.push(await dialog.reply(command.trimEnd()));
  }
  const [mail, ...others] = replies;
  const data = others.pop();
  if (mail === undefined || data === undefined) throw new Error("a transaction without replies");
  const say = (recipient: string, reply: Reply, about = ""): Outcome => {
    io.stdout.write(Buffer.from(`<${recipient}> ${describeReply(reply)}${about}\n`, "latin1").toString("utf8"));
    return outcomeOf(reply);
  };

  const outcomes: Outcome[] = [];
  const accepted: string[] = [];
  for (const [index, recipient] of plan.recipients.entries()) {
    const answer = others[index];
    if (!isPositive(mail)) outcomes.push(say(recipient, mail, " (to MAIL)"));
    else if (answer === undefined || !isPositive(answer)) outcomes.push(say(recipient, answer ?? mail));
    else accepted.push(recipient);
  }
  if (accepted.length > 0 && data.code !== 354)
    for (const recipient of accepted) outcomes.push(say(recipient, data, " (to DATA)"));
  else if (accepted.length > 0) {
    dialog.send(message.wire);
    for (const recipient of accepted) outcomes.push(await finalOutcome(dialog, recipient, say, io));
  } else if (data.code === 354) return outcomes; // Closing now sends no message at all, a dot would send an empty one.
  await quit(dialog);
  return outcomes;
}

/** Replies that came count; those that did not leave their recipients for another try. RFC 2033 section 5. */
async function finalOutcome(
  dialog: LmtpDialog,
  recipient: string,
  say: (recipient: string, reply: Reply) => Outcome,
  io: CommandIo,
): Promise<Outcome> {
  try {
    return say(recipient, await dialog.reply("the message"));
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error;
    io.stdout.write(`<${recipient}> no reply: ${error.message}; the message may have been delivered\n`);
    return "later";
  }
}

async function shakeHands(dialog: LmtpDialog, { credentials }: SendPlan, io: CommandIo): Promise<Capabilities> {
  const options = {
    hostname: hostname(),
    credentials,
    nonce: () => randomBytes(18).toString("base64"),
    // We are no server: nobody can show this token.
    loopToken: randomBytes(12).toString("hex"),
  };
  let state = INITIAL_HANDSHAKE;
  for (;;) {
    const step = onHandshakeReply(state, await dialog.reply(state.phase), options);
    switch (step.kind) {
      case "send":
        state = step.state;
        dialog.send(step.line);
        continue;
      case "failed":
        throw new CommandFault(step.cause === "temporary" ? EXIT.tempFail : EXIT.unavailable, step.reason);
      case "ready":
        if (step.note !== undefined) io.stderr.write(`mailshunt send: ${step.note}\n`);
        return step.capabilities;
    }
  }
}

function mailLine({ sender, recipients }: SendPlan, message: OutgoingMessage, capabilities: Capabilities): string {
  const words = [`MAIL FROM:<${sender}>`];
  if (capabilities.size) words.push(`SIZE=${message.sizeBytes}`);
  if (capabilities.eightBitMime && message.hasEightBit) words.push("BODY=8BITMIME");
  const isInternational = [sender, ...recipients].some((address) => /[\x80-\xff]/.test(address));
  if (capabilities.smtpUtf8 && isInternational) words.push("SMTPUTF8");
  return `${words.join(" ")}\r\n`;
}

/** Politeness: what comes of it changes nothing. */
async function quit(dialog: LmtpDialog): Promise<void> {
  dialog.send("QUIT\r\n");
  await dialog.reply("QUIT").catch(() => undefined);
}

function outcomeOf(reply: Reply): Outcome {
  if (isPositive(reply)) return "accepted";
  return reply.code >= 500 ? "never" : "later";
}

function worst(outcomes: readonly Outcome[]): number {
  if (outcomes.includes("later")) return EXIT.tempFail;
  return outcomes.includes("never") ? EXIT.noUser : EXIT.ok;
}
