import type { BackendPool } from "../../backends/pool.ts";
import type { BackendSession } from "../../backends/session.ts";
import { ActFailed } from "../tools.ts";

/**
 * Asks a store whether it would take mail for somebody: MAIL, RCPT, then RSET.
 * @param address as text
 * @throws ActFailed where it would not, or cannot be asked
 */
export async function probeLmtp(pool: BackendPool, address: string, signal: AbortSignal): Promise<void> {
  const path = toPath(address);
  const first = await attempt(pool, path, true, signal);
  // A session that was kept may have died while nobody looked.
  const outcome = first.kind === "lost" && first.isReused ? await attempt(pool, path, false, signal) : first;
  if (outcome.kind === "accepted") return;
  throw new ActFailed(outcome.reason);
}

type Outcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "lost"; readonly isReused: boolean; readonly reason: string };

function attempt(pool: BackendPool, path: string, mayBeReused: boolean, signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    let takeBack = (): void => undefined;
    let used: BackendSession | undefined;
    let isOver = false;
    const end = (outcome: Outcome): void => {
      if (isOver) return;
      isOver = true;
      signal.removeEventListener("abort", abort);
      resolve(outcome);
    };
    const abort = (): void => {
      takeBack();
      used?.abort();
      if (used !== undefined) pool.release(used, false);
      end({ kind: "refused", reason: "it was given up" });
    };
    signal.addEventListener("abort", abort);
    takeBack = pool.request(
      {
        onUnavailable: (error) => end({ kind: "refused", reason: error.message }),
        onSession: (session, isReused) => {
          used = session;
          const mail = `MAIL FROM:<>${mailParameters(path, session)}`;
          const rcpt = `RCPT TO:<${path}>`;
          let asked = mail;
          let refusal: string | undefined;
          session.use({
            onReply: ({ code, lines }) => {
              if (code < 200 || code >= 300) refusal ??= `${asked} was answered ${code} ${lines.join(" ")}`;
              if (asked === mail) {
                asked = rcpt;
                session.expect(rcpt, pool.options.timeouts.commandMs);
                return;
              }
              pool.release(session, false);
              end(refusal === undefined ? { kind: "accepted" } : { kind: "refused", reason: refusal });
            },
            onDrain: () => undefined,
            onLost: (reason) => end({ kind: "lost", isReused, reason: refusal ?? `${asked}: ${reason}` }),
          });
          session.expect(mail, pool.options.timeouts.commandMs);
          for (const command of [mail, rcpt]) session.send(`${command}\r\n`);
        },
      },
      mayBeReused,
    );
  });
}

/** @throws ActFailed for what no address can be */
export function toPath(address: string): string {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(address)) throw new ActFailed("the user's name has control characters");
  const at = address.lastIndexOf("@");
  const [local, domain] = at === -1 ? [address, ""] : [address.slice(0, at), address.slice(at)];
  if (/[<>\s]/.test(domain)) throw new ActFailed(`"${domain}" is no domain`);
  // RFC 5321 4.1.2: what is no dot-string is quoted.
  const isDotString = /^[^\s"(),:;<>@[\\\].]+(?:\.[^\s"(),:;<>@[\\\].]+)*$/.test(local);
  const quoted = isDotString ? local : `"${local.replaceAll(/["\\]/g, "\\$&")}"`;
  return Buffer.from(quoted + domain).toString("latin1");
}

const mailParameters = (path: string, { capabilities }: BackendSession): string =>
  /[\u0080-\u00ff]/.test(path) && capabilities.smtpUtf8 ? " SMTPUTF8" : "";
