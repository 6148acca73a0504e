import { parseCapabilities, type Capabilities } from "./capabilities.ts";
import { describeReply, isPositive, type Reply } from "./reply.ts";
import { chooseMechanism, type Credentials, type SaslExchange } from "./sasl.ts";

/** A client's way from the connection to the first MAIL: greeting, LHLO, AUTH. */
export type HandshakeState =
  | { readonly phase: "greeting" }
  | { readonly phase: "lhlo" }
  | { readonly phase: "auth"; readonly exchange: SaslExchange; readonly capabilities: Capabilities };

export type HandshakeStep =
  | { readonly kind: "send"; readonly line: string; readonly state: HandshakeState }
  | { readonly kind: "ready"; readonly capabilities: Capabilities; readonly note: string | undefined }
  | { readonly kind: "failed"; readonly reason: string; readonly cause: HandshakeFailure };

/** `rejected`: nothing that a retry mends, such as a wrong password; `loop`: the server is ourselves. Operators must hear of both. */
export type HandshakeFailure = "temporary" | "rejected" | "loop";

export interface HandshakeOptions {
  readonly hostname: string;
  readonly credentials: Credentials | undefined;
  /** Fresh and unguessable for each login. */
  readonly nonce: () => string;
  /** A server that shows this token is ourselves. */
  readonly loopToken: string;
}

export const INITIAL_HANDSHAKE: HandshakeState = { phase: "greeting" };

/** What a reply means during the handshake. Lines to send carry their CR LF. */
export function onHandshakeReply(state: HandshakeState, reply: Reply, options: HandshakeOptions): HandshakeStep {
  switch (state.phase) {
    case "greeting":
      if (reply.code !== 220) return failed("greeting", reply);
      return { kind: "send", line: `LHLO ${options.hostname}\r\n`, state: { phase: "lhlo" } };
    case "lhlo":
      return isPositive(reply) ? afterLhlo(parseCapabilities(reply), options) : failed("LHLO", reply);
    case "auth":
      return onAuthReply(state.exchange, state.capabilities, reply);
  }
}

function afterLhlo(capabilities: Capabilities, options: HandshakeOptions): HandshakeStep {
  if (capabilities.loopToken === options.loopToken)
    return { kind: "failed", reason: "this backend is mailshunt itself: mail loops back to us", cause: "loop" };
  if (options.credentials === undefined) return { kind: "ready", capabilities, note: undefined };
  if (capabilities.auth.size === 0)
    return {
      kind: "ready",
      capabilities,
      note: "user and password are set, but the store offers no AUTH: going on without",
    };
  const exchange = chooseMechanism(capabilities.auth, options.credentials, options.nonce());
  if (exchange === undefined) {
    const offered = [...capabilities.auth].join(" ");
    // Cyrus offers EXTERNAL, and nothing else, to a peer that needs no login.
    if (offered === "EXTERNAL") return { kind: "ready", capabilities, note: undefined };
    return { kind: "failed", reason: `none of the store's mechanisms is known here: ${offered}`, cause: "rejected" };
  }
  const initial = exchange.initial === undefined ? "" : ` ${toBase64(exchange.initial) || "="}`;
  return {
    kind: "send",
    line: `AUTH ${exchange.mechanism}${initial}\r\n`,
    state: { phase: "auth", exchange, capabilities },
  };
}

function onAuthReply(exchange: SaslExchange, capabilities: Capabilities, reply: Reply): HandshakeStep {
  if (reply.code === 334) {
    const step = exchange.onChallenge(fromBase64(reply.lines[0] ?? ""));
    if (step.kind === "refuse")
      return { kind: "failed", reason: `AUTH ${exchange.mechanism}: ${step.reason}`, cause: "rejected" };
    return { kind: "send", line: `${toBase64(step.text)}\r\n`, state: { phase: "auth", exchange, capabilities } };
  }
  if (!isPositive(reply)) return failed(`AUTH ${exchange.mechanism}`, reply);
  // A server may put its last word, the proof that it knows the password, into the 235 itself (RFC 4954 section 4).
  if (!exchange.isSatisfied()) exchange.onChallenge(fromBase64(reply.lines[0] ?? ""));
  if (!exchange.isSatisfied())
    return { kind: "failed", reason: `AUTH ${exchange.mechanism}: the server proved nothing`, cause: "rejected" };
  return { kind: "ready", capabilities, note: undefined };
}

function failed(during: string, reply: Reply): HandshakeStep {
  return {
    kind: "failed",
    reason: `${during} answered ${describeReply(reply)}`,
    cause: reply.code >= 500 ? "rejected" : "temporary",
  };
}

function toBase64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}
