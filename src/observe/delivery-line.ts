import type { DeliveryRecord } from "../core/log.ts";
import { printable } from "./printable.ts";

/**
 * The line of one recipient, as Postfix's log_adhoc() writes it: `to=`, `relay=`, `conn_use=` (only past the first),
 * `delay=`, `delays=`, `dsn=`, `status=` next to each other and in this order, since pflogsumm, logwatch and grok
 * patterns expect them so, most of them anchored at the session id. What Postfix has no field for follows after
 * `; `, as in its reject lines: parsers take the rest of the line for the status text. Our fields hold no blank and
 * no angle bracket, so the last `; from=<` of a line is ours, whatever a store's reply says.
 */
export function deliveryLine(record: DeliveryRecord): string {
  const use = record.connectionUse > 1 ? `, conn_use=${record.connectionUse}` : "";
  const [a, b, c, d] = record.delaysMs;
  return (
    `to=<${address(record.recipient)}>, relay=${printable(record.relay)}${use}, delay=${delay(record.delayMs)}, ` +
    `delays=${delay(a)}/${delay(b)}/${delay(c)}/${delay(d)}, dsn=${printable(record.dsn)}, ` +
    `status=${record.status} (${printable(record.text)}); from=<${address(record.sender)}>` +
    field("ident", record.ident) +
    ` backend=${word(record.backend)}` +
    field("backend_session", record.backendSession)
  );
}

/**
 * Seconds with two significant digits, at most two of them behind the point, no trailing zeros: 0.04, 1.2, 35, 0.
 * Source: format_tv(3) of Postfix with its defaults, sig_dig 2 and delay_logging_resolution_limit 2.
 */
export function delay(milliseconds: number): string {
  if (milliseconds < 5) return "0";
  if (milliseconds < 995) return HUNDREDTHS[Math.round(milliseconds / 10)] ?? "1";
  const seconds = milliseconds / 1000;
  return seconds < 9.95 ? withoutZeros(seconds.toFixed(1)) : seconds.toFixed(0);
}

/** Nearly every delay is one of these: to format five for each line would cost as much as all else in it. */
const HUNDREDTHS = Array.from({ length: 100 }, (_, hundredths) => withoutZeros((hundredths / 100).toFixed(2)));

function withoutZeros(decimal: string): string {
  return decimal.replace(/\.?0+$/, "");
}

/** `<` and `>` may stand in a quoted local part, where they could pretend to end the field. */
function address(text: string): string {
  return printable(text).replace(/[<>]/g, "?");
}

function word(text: string): string {
  return printable(text).replace(/[\s<>]/g, "?");
}

function field(name: string, value: string | undefined): string {
  return value === undefined || value === "" ? "" : ` ${name}=${word(value)}`;
}
