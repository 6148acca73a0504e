import type { Clock } from "../../src/core/clock.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { HoldKeeper } from "../../src/moves/hold-keeper.ts";
import { Moves } from "../../src/moves/moves.ts";
import { Deliveries } from "../../src/relay/deliveries.ts";
import type { Delivery } from "../../src/relay/deliveries.ts";
import { SimClock } from "./sim-clock.ts";
import { openSimDirectory } from "./sim-directory.ts";
import type { SimFaults } from "./sim-directory.ts";
import { createSimTools } from "./sim-tools.ts";
import { LATE_MS, LOCK_GRACE_MS, SETTLE_MS } from "./sim-world.ts";
import type { SimWorld } from "./sim-world.ts";

/** The daemon, from its start until it is killed. */
export class SimProcess {
  readonly world: SimWorld;
  readonly clock: Clock;
  readonly directory: Directory;
  readonly deliveries = new Deliveries();
  readonly keeper: HoldKeeper;
  readonly moves: Moves;
  /** Answers of the outside table that are cached. */
  readonly cache = new Map<string, string>();
  readonly lastLogins = new Map<string, number>();
  isDead = false;
  readonly #parked = new Map<string, Set<() => void>>();
  /** How each delivery under way ends when the worker that has it dies. */
  readonly #losses = new Map<Delivery, () => void>();

  /** @param onCommit says what becomes of each commit, in place of chance */
  constructor(world: SimWorld, isFirst: boolean, onCommit?: SimFaults["commit"]) {
    this.world = world;
    const { random } = world;
    this.clock = world.time.forProcess(() => this.isDead);
    const startMs = this.clock.wallMs();
    if (!isFirst) world.disk.uncertain.push({ kind: "everyone", atMs: startMs, why: "the daemon was killed" });
    this.directory = openSimDirectory(
      world.disk,
      this.clock,
      {
        commitMs: () => random.between(0, 4),
        commit: () => {
          if (onCommit !== undefined) return onCommit();
          if (!world.fails("commit")) return "done";
          return random.pick(["failed", "unknown-done", "unknown-failed"] as const);
        },
        isDead: () => this.isDead,
        onSwitch: (user) => world.note(`${user} is switched`),
        onEnd: (move) => world.checkMove(move),
      },
      !isFirst,
    );
    const say = (_level: string, text: string): void => world.note(text);
    const drainTimeoutMs = random.pick([8_000, 90_000]);
    this.keeper = new HoldKeeper({
      directory: this.directory,
      deliveries: this.deliveries,
      options: () => ({
        hold: { parkMs: 45_000, maxParked: 10, deadlineMs: 120_000 },
        drain: { graceMs: 5_000, settleMs: SETTLE_MS, timeoutMs: drainTimeoutMs },
      }),
      clock: this.clock,
      say,
      onReleased: (user) => {
        for (const go of this.#parked.get(user) ?? []) go();
        this.#parked.delete(user);
      },
    });
    this.moves = new Moves({
      directory: this.directory,
      keeper: this.keeper,
      ...createSimTools(this),
      logins: { lastLetThroughMs: (user) => this.lastLogins.get(user) ?? startMs },
      clock: this.clock,
      rules: () => ({
        roundsUntilMs: 3_000,
        maxRounds: 4,
        lockGraceMs: LOCK_GRACE_MS,
        sessionsTimeoutMs: 5_000,
        settleMs: SETTLE_MS,
        holdDeadlineMs: 120_000,
      }),
      limits: () => ({ parallel: 3, perBackend: 3 }),
      defaultPreset: () => "sim",
      residence: (user) => Promise.resolve({ kind: "lives", backend: world.residenceOf(user) }),
      bypass: () => undefined,
      failedPathOf: () => undefined,
      filesOf: () => ({ logPath: "", reportPath: "" }),
      say,
    });
  }

  /** What a killed process had begun goes on without it, or not. */
  kill(): void {
    const { world } = this;
    this.isDead = true;
    world.note("the daemon is killed");
    void this.keeper.close();
    for (const group of world.groups.values()) if (!world.fails("orphan")) group.isAlive = false;
  }

  /** A worker dies, and half of what is under way with it. @param noticedMs later the daemon hears of it */
  crashWorker(noticedMs = this.world.random.between(0, 500)): void {
    const { world } = this;
    world.note("a worker dies");
    const lost = [...this.#losses].filter(() => world.random.chance(0.5));
    for (const [delivery, lose] of lost) {
      this.#losses.delete(delivery);
      lose();
    }
    const dead = lost.map(([delivery]) => delivery);
    this.clock.after(noticedMs, () => void this.#noteCrash(dead));
  }

  /** A drain still waits for what the worker had, until it is written down that its end is unknown. */
  async #noteCrash(dead: readonly Delivery[]): Promise<void> {
    const why = "a worker died";
    this.world.expectRollBacks();
    this.moves.interrupt(why);
    for (let isWritten = false; !isWritten;)
      isWritten = await this.directory.uncertain.addEveryone(this.clock.wallMs(), why).then(
        () => true,
        () => false,
      );
    for (const delivery of dead) this.deliveries.remove(delivery);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  /** One attempt of a client to deliver. @param done told whether the client has heard 2xx; never called by a dead process */
  async deliver(user: string, message: string, done: (isAccepted: boolean) => void): Promise<void> {
    const { world } = this;
    const { random } = world;
    let stage: Delivery["stage"] = "asking";
    let isCut = false;
    const routed: { backend?: string } = {};
    const delivery: Delivery = {
      user,
      session: message,
      sinceMs: this.clock.nowMs(),
      get backend() {
        return routed.backend;
      },
      get stage() {
        return stage;
      },
      onAwaited: () => undefined,
      cut: () => {
        if (stage === "dot" || isCut) return;
        isCut = true;
        end();
        done(false);
      },
    };
    const end = (): void => {
      this.#losses.delete(delivery);
      this.deliveries.remove(delivery);
    };
    let isLost = false;
    this.deliveries.add(delivery);
    this.#losses.set(delivery, () => {
      isLost = true;
      isCut = true;
      if (stage === "dot") world.uncertain.add(message);
      done(false);
    });
    const placement = this.directory.find(user);
    if (placement.holds.length > 0) {
      end();
      if (random.chance(0.5)) this.#park(user, () => void this.deliver(user, message, done));
      else done(false);
      return;
    }
    const store = placement.backend ?? (await this.#askTable(user));
    routed.backend = store;
    stage = "message";
    await this.sleep(random.chance(0.2) ? random.between(0, 20_000) : random.between(0, 500));
    if (isCut) return;
    stage = "dot";
    if (world.fails("lostReply")) {
      world.uncertain.add(message);
      world.note(`${store} goes silent after the dot of ${message} of ${user}`);
      if (random.chance(0.7)) world.time.after(random.between(0, LATE_MS), () => world.append(store, user, message));
      await this.sleep(random.between(0, 5_000));
      if (isLost) return;
      await this.keeper.onUncertain(delivery);
      if (isLost) return;
      end();
      done(false);
      return;
    }
    // The store goes on without us, should we be killed now, and is no slower than stores are.
    const takenMs = random.chance(0.1) ? random.between(0, LATE_MS) : random.between(0, 3_000);
    world.time.after(takenMs, () => {
      if (this.isDead || isLost) {
        world.uncertain.add(message);
        if (random.chance(0.3)) return;
      }
      world.append(store, user, message);
      if (this.isDead || isLost) return;
      end();
      done(true);
    });
  }

  /** A login that auth-http is asked for. */
  login(user: string): void {
    const { world } = this;
    const { random } = world;
    if (this.moves.isLocked(user)) return;
    this.lastLogins.set(user, SimClock.START_MS + world.time.nowMs);
    const store = world.residenceOf(user);
    world.time.after(random.between(0, LOCK_GRACE_MS - 100), () => {
      const session = { user, store, isOpen: true };
      world.sessions.add(session);
      const write = (): void => {
        if (!session.isOpen) return;
        const draft = `draft${world.newId()}`;
        world.append(store, user, draft);
        world.accepted.get(user)?.add(draft);
        if (random.chance(0.8)) world.time.after(random.between(100, 20_000), write);
        else {
          session.isOpen = false;
          world.sessions.delete(session);
        }
      };
      world.time.after(random.between(0, 5_000), write);
    });
  }

  #park(user: string, go: () => void): void {
    const parked = this.#parked.get(user) ?? new Set();
    this.#parked.set(user, parked);
    const end = (): void => {
      if (parked.delete(end)) go();
    };
    parked.add(end);
    this.clock.after(45_000, end);
  }

  /** As a cached table answers. */
  async #askTable(user: string): Promise<string> {
    const { world } = this;
    if (!world.hasTable) return "old";
    const cached = this.cache.get(user);
    if (cached !== undefined) return cached;
    await this.sleep(world.random.between(0, 50));
    const answer = world.table.get(user) ?? "old";
    await this.sleep(world.random.between(0, 50));
    this.cache.set(user, answer);
    return answer;
  }
}
