import type { Clock } from "../../core/clock.ts";
import { formatEndpoint } from "../../core/endpoint.ts";
import type { Log, LogLevel } from "../../core/log.ts";
import type { Quotas } from "../../core/quota.ts";
import { unreachable } from "../../core/unreachable.ts";
import { encodeAnswer, encodeRejection } from "../../protocols/auth-http/answer.ts";
import type { AuthAnswer } from "../../protocols/auth-http/answer.ts";
import type { RequestHead } from "../../protocols/auth-http/request-decoder.ts";
import { isSameSecret, mailboxOf, readRequest } from "../../protocols/auth-http/request.ts";
import type { AuthRequest, AuthService } from "../../protocols/auth-http/request.ts";
import type { Login, ReachableLogin } from "../../views/login.ts";
import { ConnectionServer } from "../connection-server.ts";
import type { AuthHttpListener } from "../options.ts";
import { AuthHttpConnection } from "./auth-http-connection.ts";

export interface AuthHttpServerParts {
  readonly listener: AuthHttpListener;
  /** By the configuration in force. Never throws or rejects. @param user one character a byte */
  readonly findLogin: (service: AuthService, user: string) => ReachableLogin | Promise<ReachableLogin>;
  readonly clock: Clock;
  readonly log: Log;
  /** See `ConnectionServer`. */
  readonly quotas?: Quotas | undefined;
}

/** What is wrong with nginx's configuration, or with ours, is told again after this time, in ms. */
const REPEAT_MS = 60_000;

/** Of a login name in a line of the log, in characters. */
const MAX_SHOWN = 100;

/** Tells nginx's mail proxy where logins go. */
export function createAuthHttpServer({
  listener,
  findLogin,
  clock,
  log,
  quotas,
}: AuthHttpServerParts): ConnectionServer {
  const toldMs = new Map<Trouble, number>();

  function say(level: LogLevel, text: string): void {
    log.write({ kind: "message", level, part: "login", text });
  }

  function warn(trouble: Trouble, text: string): void {
    const nowMs = clock.nowMs();
    if (nowMs - (toldMs.get(trouble) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    toldMs.set(trouble, nowMs);
    say("warning", `auth-http at ${formatEndpoint(listener.address)}: ${text}`);
  }

  function answer(head: RequestHead): Buffer | Promise<Buffer> {
    if (head.kind === "malformed") {
      warn("malformed", `a request is not one of nginx: ${head.reason}`);
      return encodeRejection(head.status);
    }
    // Before anything is said of a user.
    if (!isSameSecret(head.headers.get(listener.header), listener.secret)) {
      warn(
        "secret",
        `a request has ${head.headers.has(listener.header) ? "another" : "no"} ${listener.header}: ${SECRET_HINT}`,
      );
      return encodeRejection("403 Forbidden");
    }
    const request = readRequest(head.headers);
    switch (request.kind) {
      case "malformed":
        warn("malformed", `a request is not one of nginx: ${request.reason}`);
        return encodeRejection("400 Bad Request");
      case "unanswerable":
        warn("unanswerable", request.reason);
        return encodeAnswer(request.service, { kind: "temporary" });
      case "login": {
        const found = findLogin(request.service, mailboxOf(request.user, listener.masterSeparator));
        return found instanceof Promise ? found.then((late) => tell(request, late)) : tell(request, found);
      }
      default:
        return unreachable(request);
    }
  }

  function tell({ service, user, client }: LoginRequest, found: ReachableLogin): Buffer {
    const { login } = found;
    const who = `${service} ${show(user)} from ${client}`;
    say(login.kind === "go" ? "debug" : "info", `${who}: ${describe(login)}`);
    if (login.kind === "failed") warn("failed", `logins have to wait: ${login.reason}`);
    return encodeAnswer(service, toAuthAnswer(found));
  }

  return new ConnectionServer({
    limits: listener,
    quotas,
    refusal: "",
    part: "login",
    log,
    connect: (socket, _address, onClosed) => new AuthHttpConnection(socket, { answer, clock, onClosed }),
  });
}

type LoginRequest = Extract<AuthRequest, { kind: "login" }>;

/** What becomes of a login. Only who is unknown, or refused by a table, is refused for good. */
export function toAuthAnswer({ login, ip }: ReachableLogin): AuthAnswer {
  switch (login.kind) {
    case "go":
      return { kind: "go", ip, port: login.place.address.port };
    case "unknown":
      return { kind: "credentials" };
    case "refused":
      return { kind: "closed" };
    case "locked":
      return { kind: "moving" };
    case "failed":
      return { kind: "temporary" };
    default:
      return unreachable(login);
  }
}

function describe(login: Login): string {
  switch (login.kind) {
    case "go":
      return `${login.backend} at ${formatEndpoint({ kind: "tcp", ...login.place.address })}`;
    case "unknown":
      return "refused, there is no such user";
    case "refused":
      return "refused, as a table says";
    case "locked":
      return "told to come again, the mailbox is being moved";
    case "failed":
      return `told to come again: ${login.reason}`;
    default:
      return unreachable(login);
  }
}

type Trouble = "malformed" | "secret" | "unanswerable" | "failed";

const SECRET_HINT = "it must be as auth_http_header of nginx has it";

const show = (user: string): string => {
  const text = Buffer.from(user, "latin1").toString("utf8");
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
};
