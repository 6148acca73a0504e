import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { BackendOptions } from "../../backends/options.ts";
import type { BackendPool } from "../../backends/pool.ts";
import type { ServiceOptions } from "../../backends/service-options.ts";
import { ActFailed } from "../tools.ts";
import type { MoveSubject, StoreChecks } from "../tools.ts";
import { compareMailboxes } from "./compare-mailboxes.ts";
import type { CompareOptions, MailboxMemory, MailboxReport } from "./compare-mailboxes.ts";
import type { MailboxReader, OpenMailbox } from "./mailbox-reader.ts";
import { probeLmtp } from "./probe-lmtp.ts";

export interface CheckOptions extends CompareOptions {
  /** Compares mailboxes, and logs in to the new one. */
  readonly isOn: boolean;
  /** Of RCPT and of IMAP, with `{user}` in them. */
  readonly address: string;
  readonly login: string;
}

export interface CheckParts {
  /** As configured now. */
  readonly options: () => CheckOptions;
  readonly backends: () => ReadonlyMap<string, BackendOptions>;
  readonly pools: () => ReadonlyMap<string, BackendPool>;
  readonly openMailbox: OpenMailbox;
  /** A sync that changes the sizes of what it copies. */
  readonly changesSizes: (preset: string) => boolean;
  readonly reportPath: (moveId: string) => string;
}

interface Memory {
  readonly from: MailboxMemory;
  readonly to: MailboxMemory;
}

/** Looks at both stores by LMTP and IMAP, directly. */
export function createStoreChecks(parts: CheckParts): StoreChecks {
  const memories = new Map<string, Memory>();

  function imapOf(name: string): ServiceOptions {
    const imap = parts.backends().get(name)?.imap;
    if (imap?.master !== undefined) return imap;
    throw new ActFailed(
      `backend ${name} needs "imap" with "master_user", for the mailboxes are compared; or set moves.verify.enabled to false`,
    );
  }

  const fill = (template: string, user: string): string => template.replaceAll("{user}", () => user);

  async function compare(subject: MoveSubject, isHeld: boolean, signal: AbortSignal): Promise<MailboxReport> {
    const { moveId, user, from, to } = subject;
    const options = parts.options();
    const login = fill(options.login, user);
    const memory = memories.get(moveId) ?? { from: new Map(), to: new Map() };
    memories.set(moveId, memory);
    const readers: MailboxReader[] = [];
    try {
      const source = await parts.openMailbox(imapOf(from), login, signal);
      readers.push(source);
      const target = await parts.openMailbox(imapOf(to), login, signal);
      readers.push(target);
      const sides = [
        { reader: source, memory: memory.from },
        { reader: target, memory: memory.to },
      ] as const;
      const ignoreSizes = options.ignoreSizes || parts.changesSizes(subject.preset);
      return await compareMailboxes(sides[0], sides[1], { ...options, ignoreSizes }, signal);
    } finally {
      if (isHeld) memories.delete(moveId);
      await Promise.all(readers.map((reader) => reader.close()));
    }
  }

  const whyNotCompared = (): string | undefined =>
    parts.options().isOn ? undefined : "the mailboxes were not compared: moves.verify.enabled is false";

  return {
    faultOf(from, to) {
      if (!parts.options().isOn) return undefined;
      try {
        imapOf(from);
        imapOf(to);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    whyNotCompared,
    async compare(subject, { isHeld, signal }) {
      const text = whyNotCompared();
      if (text !== undefined) return { differences: 0, text };
      const report = await compare(subject, isHeld, signal);
      const reportPath = parts.reportPath(subject.moveId);
      await mkdir(dirname(reportPath), { recursive: true, mode: 0o700 });
      await writeFile(reportPath, describeReport(subject, isHeld, report), { flag: "a", mode: 0o600 });
      return { differences: report.differences, text: summarize(report, reportPath) };
    },
    async probe({ user, to }, signal) {
      const options = parts.options();
      const pool = parts.pools().get(to);
      if (pool === undefined) throw new ActFailed(`there is no backend "${to}"`);
      await probeLmtp(pool, fill(options.address, user), signal);
      const imap = parts.backends().get(to)?.imap;
      if (imap?.master === undefined) return;
      const reader = await parts.openMailbox(imap, fill(options.login, user), signal);
      await reader.close();
    },
    forget: (moveId) => void memories.delete(moveId),
  };
}

function summarize({ folders, messages, differences, lines }: MailboxReport, reportPath: string): string {
  const compared = `${messages} messages in ${folders} folders compared`;
  if (differences === 0) return `${compared}: no difference`;
  return `${compared}: ${differences} differences, such as "${lines[0] ?? ""}"; see ${reportPath}`;
}

function describeReport({ user, from, to }: MoveSubject, isHeld: boolean, report: MailboxReport): string {
  const { folders, messages, differences, lines } = report;
  const when = isHeld ? "while the user was held" : "before the lock, while mail could still come";
  return [
    `${new Date().toISOString()} ${user}: ${from} (old) and ${to} (new), ${when}`,
    `folders: ${folders}, messages: ${messages}, differences: ${differences}`,
    ...lines.map((line) => `  ${line}`),
    "",
  ].join("\n");
}
