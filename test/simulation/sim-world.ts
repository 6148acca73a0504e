import type { Clock } from "../../src/core/clock.ts";
import type { CommandGroup } from "../../src/moves/commands/command-group.ts";
import type { Move } from "../../src/directory/directory.ts";
import type { CommandKind } from "../../src/moves/tools.ts";
import { ownerOfMove } from "../../src/directory/names.ts";
import { SimClock } from "./sim-clock.ts";
import type { Random } from "./sim-clock.ts";
import { SimDisk } from "./sim-directory.ts";

/** How often what goes wrong, in a thousand. */
export interface Trouble {
  readonly commit: number;
  readonly command: number;
  readonly check: number;
  /** That a sync leaves something out and says that all is well. */
  readonly flaw: number;
  readonly outside: number;
  readonly lostReply: number;
  /** That a command outlives the daemon that was killed. */
  readonly orphan: number;
}

const NO_TROUBLE: Trouble = { commit: 0, command: 0, check: 0, flaw: 0, outside: 0, lostReply: 0, orphan: 0 };

export interface Group {
  readonly command: CommandGroup;
  isAlive: boolean;
}

export interface Session {
  readonly user: string;
  readonly store: string;
  isOpen: boolean;
}

export const SETTLE_MS = 60_000;
/** A store ends within this what it was sent, however it lost its client: less than the drain's settle. */
export const LATE_MS = 50_000;
export const LOCK_GRACE_MS = 2_000;

/** Between lock and switch: what was proven of deliveries counts no more when a worker dies. */
const IN_DOUBT: ReadonlySet<string> = new Set(["lock", "hold", "final-sync", "verify"]);

/** The world around the daemon: stores, clients, an outside table, and processes that outlive it. */
export class SimWorld {
  readonly random: Random;
  readonly time = new SimClock();
  readonly disk = new SimDisk();
  readonly users: readonly string[];
  readonly groups = new Map<number, Group>();
  readonly sessions = new Set<Session>();
  /** Where users live by the outside table, where there is one. */
  readonly table = new Map<string, string>();
  hasTable: boolean;
  readonly countsSessions: boolean;
  /** Whether there are commands that lock and unlock: where there are none, nothing else happens between two entries. */
  hasLock: boolean;
  comparesMailboxes: boolean;
  readonly violations: string[] = [];
  readonly story: string[] = [];
  /** Messages that some store took and whose client knows it. */
  readonly accepted = new Map<string, Set<string>>();
  readonly uncertain = new Set<string>();
  /** Messages whose clients still try. */
  pendingCount = 0;
  trouble: Trouble;
  readonly #mailboxes = new Map<string, string[]>();
  #counter = 0;
  readonly #toRollBack = new Set<string>();

  constructor(random: Random, userCount: number, trouble: Trouble) {
    this.random = random;
    this.trouble = trouble;
    this.users = Array.from({ length: userCount }, (_, index) => `u${index + 1}`);
    this.hasTable = random.chance(0.3);
    this.countsSessions = random.chance(0.5);
    this.hasLock = random.chance(0.5);
    // Nothing else finds what a sync has left out.
    this.comparesMailboxes = trouble.flaw > 0 || random.chance(0.5);
    for (const user of this.users) {
      this.accepted.set(user, new Set());
      if (this.hasTable && random.chance(0.7)) this.table.set(user, "old");
    }
  }

  get clock(): Clock {
    return this.time.forProcess(() => false);
  }

  calm(): void {
    this.trouble = NO_TROUBLE;
  }

  fails(what: keyof Trouble): boolean {
    return this.random.chance(this.trouble[what] / 1000);
  }

  hasCommand(what: CommandKind): boolean {
    switch (what) {
      case "pre-sync":
      case "final-sync":
      case "kick":
        return true;
      case "lock":
      case "unlock":
        return this.hasLock;
      case "sessions":
        return this.countsSessions;
    }
  }

  newId(): number {
    return (this.#counter += 1);
  }

  mailbox(store: string, user: string): string[] {
    const name = `${store}/${user}`;
    let messages = this.#mailboxes.get(name);
    if (messages === undefined) this.#mailboxes.set(name, (messages = []));
    return messages;
  }

  /** Where the user lives, as everyone should see it. */
  residenceOf(user: string): string {
    return this.disk.users.get(user) ?? this.table.get(user) ?? "old";
  }

  phaseOf(user: string): string | undefined {
    return this.disk.moves.find((move) => move.user === user && move.isActive)?.state;
  }

  /** The daemon hears that a worker died: no move between lock and switch may go on. */
  expectRollBacks(): void {
    for (const { id, state } of this.disk.moves) if (IN_DOUBT.has(state)) this.#toRollBack.add(id);
  }

  /** A message or a draft comes into a mailbox. */
  append(store: string, user: string, message: string): void {
    this.note(`${store} takes ${message} of ${user}`);
    this.mailbox(store, user).push(message);
    const phase = this.phaseOf(user);
    if (phase === "final-sync" || phase === "verify" || phase === "switch")
      this.violate(`${store} took ${message} of ${user} in ${phase}, after the drain`);
    else if (store !== this.residenceOf(user))
      this.violate(`${store} took ${message} of ${user}, who lives in ${this.residenceOf(user)}`);
  }

  replace(store: string, user: string, messages: readonly string[]): void {
    this.note(`a sync makes ${store} of ${user} equal: ${messages.length}`);
    if (this.residenceOf(user) === store) this.violate(`a sync wrote to ${store}, where ${user} lives`);
    const mailbox = this.mailbox(store, user);
    mailbox.splice(0, mailbox.length, ...messages);
  }

  violate(text: string): void {
    this.violations.push(text);
    this.note(`VIOLATION: ${text}`);
  }

  note(text: string): void {
    this.story.push(`${(this.time.nowMs / 1000).toFixed(3)} ${text}`);
  }

  /** What must be true when a move ends. */
  checkMove({ id, user, from, to, state }: Move): void {
    const store = state === "done" ? to : from;
    if (this.#toRollBack.delete(id) && state !== "rolled-back")
      this.violate(`${id} of ${user} is ${state} all the same`);
    if (this.residenceOf(user) !== store) this.violate(`${user} lives in ${this.residenceOf(user)} though ${state}`);
    if (this.disk.holds.some((hold) => hold.user === user && hold.owner === ownerOfMove(id)))
      this.violate(`${user} is still held though ${state}`);
    for (const { command, isAlive } of this.groups.values())
      if (isAlive && command.token === `${user}/sync`) this.violate(`a sync of ${user} runs though ${state}`);
  }

  /** What must be true when all is over. */
  checkEnd(): void {
    for (const move of this.disk.moves)
      if (move.isActive) this.violate(`move ${move.id} of ${move.user} never ended: ${move.state}`);
    for (const hold of this.disk.holds) this.violate(`${hold.user} is held for ever by ${hold.owner}`);
    if (this.pendingCount > 0) this.violate(`${this.pendingCount} messages were never taken`);
    for (const user of this.users) this.#checkMailbox(user);
  }

  #checkMailbox(user: string): void {
    const store = this.residenceOf(user);
    const counts = new Map<string, number>();
    for (const message of this.mailbox(store, user)) counts.set(message, (counts.get(message) ?? 0) + 1);
    for (const message of this.accepted.get(user) ?? []) {
      const count = counts.get(message) ?? 0;
      if (count === 0) this.violate(`${message} of ${user} is lost: it is not in ${store}`);
      if (count > 1 && !this.uncertain.has(message))
        this.violate(`${message} of ${user} is ${count} times in ${store}`);
    }
  }
}
