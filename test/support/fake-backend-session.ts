import { createHash } from "node:crypto";
import type { Socket } from "node:net";

import { breakOff, sleepUnlessClosed } from "./break-off.ts";
import { byteQueue } from "./byte-queue.ts";
import { authenticate } from "./fake-backend-auth.ts";
import { BodyScanner } from "./fake-backend-body.ts";
import { newTransaction, parsePathLine, type PathLine } from "./fake-backend-transaction.ts";
import type {
  Behaviour,
  FakeBackendOptions,
  FakeEvent,
  FakeTransaction,
  Script,
  Stage,
  StageContext,
} from "./fake-backend-types.ts";

/** What all connections of one fake share. */
export interface FakeShared {
  readonly options: FakeBackendOptions;
  readonly script: Script;
  readonly keywords: () => readonly string[];
  readonly transactions: FakeTransaction[];
  /** What no proxy may ever do to a store. */
  readonly violations: string[];
  readonly commands: string[];
  note(event: FakeEvent, bytes?: number): void;
  /** Resolves at the next `release`. */
  stalled(): Promise<void>;
}

const MUST_END_A_GROUP = new Set(["LHLO", "DATA", "AUTH", "VRFY", "NOOP", "QUIT"]);

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function replyBytes(text: string): Buffer {
  return Buffer.from(`${text.split(/\r?\n/).join("\r\n").replace(/\r\n$/, "")}\r\n`, "utf8");
}

/** One connection, from greeting to close. Resolves when it has ended. */
export async function serveFake(socket: Socket, connection: number, shared: FakeShared): Promise<void> {
  const { options, script } = shared;
  const input = byteQueue(socket);
  let open = true;
  let uses = 0;
  let current: FakeTransaction | undefined;
  let xforward: string[] = [];
  let authenticated = options.auth === undefined;
  let greetingSeen = false;
  const announced = (): Set<string> =>
    new Set(shared.keywords().map((keyword) => (keyword.split(" ")[0] ?? "").toUpperCase()));

  const write = async (bytes: Buffer): Promise<void> => {
    if (!open || socket.destroyed) return;
    const step = options.replyChunkBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      socket.write(bytes.subarray(at, at + step));
      if (step < bytes.length) await nextTurn();
    }
  };
  const strip = (text: string): string =>
    options.enhanced === false ? text.replaceAll(/^(\d{3}[ -])\d\.\d+\.\d+ /gm, "$1") : text;
  const finish = (how: "close" | "reset"): void => {
    open = false;
    if (how === "close") socket.end();
    else breakOff(socket);
  };

  /** Carries out a behaviour; the replies it gave, or undefined when it stalled and the default is now due. */
  const perform = async (behaviour: Behaviour): Promise<string[] | undefined> => {
    if (typeof behaviour === "string" || Array.isArray(behaviour)) {
      const replies = typeof behaviour === "string" ? [behaviour] : [...(behaviour as readonly string[])];
      for (const reply of replies) await write(replyBytes(reply));
      return replies;
    }
    const act = behaviour as Exclude<Behaviour, string | readonly string[]>;
    switch (act.do) {
      case "reply":
        return perform(act.text);
      case "raw":
        await write(Buffer.from(act.bytes as string));
        return [];
      case "close":
        if (act.bytes !== undefined) await write(Buffer.from(act.bytes));
        finish("close");
        return [];
      case "reset":
        finish("reset");
        return [];
      case "stall":
        shared.note("stall");
        await shared.stalled();
        return act.next === undefined ? undefined : perform(act.next);
      case "slow":
        throw new Error("`slow` is for the stage `body` only");
    }
  };

  const scripted = (stage: Stage, line: string, extra: Partial<StageContext> = {}): Behaviour | undefined => {
    const entry = script[stage];
    if (typeof entry !== "function") return entry;
    return entry({ stage, connection, use: uses, line, recipient: "", index: 0, ...extra });
  };
  /** The replies given at a stage: the script's, or the default. */
  const answer = async (
    stage: Stage,
    line: string,
    otherwise: string,
    extra: Partial<StageContext> = {},
  ): Promise<string[]> => {
    shared.note(stage);
    const behaviour = scripted(stage, line, extra);
    const given = behaviour === undefined ? undefined : await perform(behaviour);
    if (given !== undefined || !open) return given ?? [];
    await write(replyBytes(strip(otherwise)));
    return [otherwise];
  };

  const end = (how: FakeTransaction["ended"]): void => {
    if (current === undefined) return;
    current.ended = how;
    current = undefined;
  };
  socket.once("close", () => {
    end("closed");
    shared.note("close");
  });
  const violation = (text: string): void => void shared.violations.push(`connection ${connection}: ${text}`);

  const parameters = (line: string, prefix: RegExp): PathLine => {
    const parsed = parsePathLine(line.replace(prefix, ""), announced());
    for (const fault of parsed.faults) violation(`${fault} in "${line}"`);
    return parsed;
  };

  const readBody = async (transaction: FakeTransaction): Promise<void> => {
    const hash = createHash("sha256");
    const kept: Buffer[] = [];
    const scanner = new BodyScanner(options.endOfData ?? "strict");
    shared.note("body");
    let behaviour = scripted("body", "");
    const keep = (bytes: Buffer): void => {
      transaction.bodyBytes += bytes.length;
      hash.update(bytes);
      if (options.keepBodies !== false) kept.push(Buffer.from(bytes));
      shared.note("body-bytes", bytes.length);
    };
    const due = (): boolean =>
      behaviour !== undefined &&
      (typeof behaviour !== "object" ||
        !("afterBytes" in behaviour) ||
        transaction.bodyBytes >= (behaviour.afterBytes ?? 0));
    for (;;) {
      if (behaviour !== undefined && typeof behaviour === "object" && "do" in behaviour && behaviour.do === "slow") {
        const { pauseMs } = behaviour;
        await sleepUnlessClosed(socket, pauseMs);
      } else if (behaviour !== undefined && due()) {
        const act = behaviour;
        behaviour = undefined;
        await perform(act);
      }
      if (!open) break;
      const chunk = await input.some();
      if (chunk === undefined) {
        keep(scanner.flush());
        break;
      }
      const found = scanner.scan(chunk);
      keep(found.body);
      if (found.rest === undefined) continue;
      input.unread(found.rest);
      transaction.body = Buffer.concat(kept);
      transaction.bodySha256 = hash.digest("hex");
      for (const fault of scanner.faults) violation(fault);
      if (!transaction.recipients.some((recipient) => recipient.accepted))
        violation("final dot without an accepted recipient");
      // Also when the connection has ended meanwhile: a store delivers what it has read to the dot.
      transaction.ended = "dot";
      current = undefined;
      return;
    }
    transaction.body = Buffer.concat(kept);
  };

  const finalReplies = async (transaction: FakeTransaction): Promise<void> => {
    shared.note("dot");
    const behaviour = scripted("dot", "");
    const given = behaviour === undefined ? undefined : await perform(behaviour);
    if (given !== undefined) return void transaction.finalReplies.push(...given);
    const accepted = transaction.recipients.filter((recipient) => recipient.accepted);
    for (const [index, { address }] of accepted.entries()) {
      if (!open) return;
      const replies = await answer("final", "", `250 2.0.0 <${address}> FAKE Saved`, { recipient: address, index });
      transaction.finalReplies.push(...replies);
    }
  };

  const command = async (line: string): Promise<void> => {
    const verb = (line.split(/[ :]/)[0] ?? "").toUpperCase();
    switch (verb) {
      case "LHLO": {
        const secrets = options.auth;
        const mechanisms = secrets?.mechanisms ?? ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"];
        const lines = [...shared.keywords()];
        if (secrets !== undefined && !authenticated) lines.push(`AUTH ${mechanisms.join(" ")}`);
        const all = ["fake.example", ...lines];
        end("rset");
        await answer("lhlo", line, all.map((text, at) => `250${at === all.length - 1 ? " " : "-"}${text}`).join("\n"));
        greetingSeen = true;
        return;
      }
      case "AUTH": {
        if (script.auth !== undefined || options.auth === undefined)
          return void (await answer("auth", line, "502 5.5.1 no AUTH here"));
        shared.note("auth");
        const known = await authenticate(line, options.auth, async (challenge) => {
          await write(Buffer.from(`334 ${challenge}\r\n`));
          return (await input.line())?.toString("latin1").trimEnd();
        });
        authenticated = known === true;
        return write(replyBytes(authenticated ? "235 2.7.0 Authenticated!" : "535 5.7.8 wrong user or password"));
      }
      case "XFORWARD":
        if (!announced().has("XFORWARD")) violation("XFORWARD without its announcement");
        if (current !== undefined) violation("XFORWARD within a transaction");
        xforward.push(line);
        return void (await answer("xforward", line, "250 2.0.0 OK"));
      case "MAIL": {
        if (!greetingSeen) violation("MAIL before LHLO");
        if (current !== undefined) violation("MAIL within a transaction");
        uses += 1;
        const { address, list } = parameters(line, /^MAIL FROM:/i);
        const taken = authenticated ? "250 2.1.0 OK" : "430 Authentication required";
        const transaction = newTransaction(connection, address, list, xforward);
        xforward = [];
        const replies = await answer("mail", line, current === undefined ? taken : "503 5.5.1 nested MAIL");
        if (replies[0]?.startsWith("2") !== true) return;
        shared.transactions.push(transaction);
        current = transaction;
        return;
      }
      case "RCPT": {
        const { address, list } = parameters(line, /^RCPT TO:/i);
        if (address === "") violation("RCPT with an empty path");
        const index = current?.recipients.length ?? 0;
        const recipient = { address, parameters: list, reply: "", accepted: false };
        current?.recipients.push(recipient);
        const replies = await answer("rcpt", line, current ? "250 2.1.5 OK" : "503 5.5.1 MAIL first", {
          recipient: address,
          index,
        });
        recipient.reply = replies[0] ?? "";
        recipient.accepted = recipient.reply.startsWith("2");
        if (recipient.accepted) shared.note("accepted");
        return;
      }
      case "DATA": {
        const good = current?.recipients.some((recipient) => recipient.accepted) === true;
        const replies = await answer("data", line, good ? "354 go on" : "503 5.5.1 no valid recipients");
        if (replies[0]?.startsWith("3") !== true) return;
        const transaction = current ?? newTransaction(connection, "", [], []);
        await readBody(transaction);
        if (transaction.ended === "dot") await finalReplies(transaction);
        return;
      }
      case "RSET":
        end("rset");
        xforward = [];
        return void (await answer("rset", line, "250 2.0.0 OK"));
      case "NOOP":
        return void (await answer("noop", line, "250 2.0.0 OK"));
      case "QUIT":
        await answer("quit", line, "221 2.0.0 bye");
        return finish("close");
      default:
        violation(`unknown command "${line}"`);
        return void (await answer("other", line, "500 5.5.1 unknown command"));
    }
  };

  await answer("greeting", "", "220 fake.example LMTP ready");
  while (open) {
    const bytes = await input.line();
    if (bytes === undefined) break;
    const line = bytes.toString("utf8").replace(/\r?\n$/, "");
    shared.commands.push(line);
    shared.note("command");
    if (!bytes.toString("latin1").endsWith("\r\n") || /[\r\n\0]/.test(line))
      violation(`command line with a bare CR, LF or a NUL: ${JSON.stringify(line)}`);
    const verb = (line.split(/[ :]/)[0] ?? "").toUpperCase();
    if (input.waitingBytes > 0 && (!announced().has("PIPELINING") || MUST_END_A_GROUP.has(verb)))
      violation(`bytes sent after "${line}" before its reply`);
    await command(line);
  }
  end("closed");
  if (!socket.destroyed) finish("close");
}
