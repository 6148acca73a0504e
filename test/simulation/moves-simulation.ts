import type { Author } from "../../src/directory/directory.ts";
import { createRandom } from "./sim-clock.ts";
import { SimProcess } from "./sim-process.ts";
import { SimWorld } from "./sim-world.ts";

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly story: readonly string[];
  readonly phases: readonly string[];
  readonly kills: number;
  /** Workers that died. */
  readonly crashes: number;
  /** Moves that brought a user to a store where the user had lived before. */
  readonly returns: number;
  readonly messages: number;
}

const OPERATOR: Author = { who: "operator", why: "simulated" };

/** How long things go wrong, and how long all may take to end after that, in ms. */
const STORMY_MS = 10 * 60_000;
const CALM_MS = 6 * 3_600_000;

/** One run of moves through failures, kills and orders, with mail and logins all the time. */
export async function simulate(seed: number): Promise<Outcome> {
  const random = createRandom(seed);
  const severity = random.pick([0, 10, 30, 80]);
  const world = new SimWorld(random, random.between(1, 5), {
    commit: severity,
    command: severity,
    check: severity,
    flaw: severity,
    outside: severity * 3,
    lostReply: random.pick([0, 10, 50]),
    orphan: 300,
  });
  const { time } = world;
  let daemon: SimProcess | undefined;
  let kills = 0;
  let crashes = 0;
  let messages = 0;
  let isStormy = true;

  async function start(): Promise<void> {
    const begun = new SimProcess(world, kills === 0);
    daemon = begun;
    await begun.moves.recover();
  }

  function kill(): void {
    daemon?.kill();
    daemon = undefined;
    kills += 1;
    time.after(random.between(100, 30_000), () => void start());
  }

  function send(user: string, message: string, tries = 0): void {
    const again = (): void => void time.after(random.between(500, 20_000), () => send(user, message, tries + 1));
    const now = daemon;
    if (now === undefined) return again();
    let isOver = false;
    // A client hears nothing from a daemon that was killed, and tries again.
    const look = (): void => {
      if (isOver) return;
      if (!now.isDead) return void time.after(5_000, look);
      isOver = true;
      again();
    };
    look();
    void now.deliver(user, message, (isAccepted) => {
      if (isOver) return;
      isOver = true;
      if (!isAccepted) return again();
      world.accepted.get(user)?.add(message);
      world.pendingCount -= 1;
    });
  }

  function mail(user: string): void {
    if (!isStormy) return;
    messages += 1;
    world.pendingCount += 1;
    send(user, `m${world.newId()}`);
    time.after(random.between(200, 15_000), () => mail(user));
  }

  function use(user: string): void {
    if (!isStormy) return;
    daemon?.login(user);
    time.after(random.between(1_000, 60_000), () => use(user));
  }

  function order(): void {
    if (!isStormy) return;
    const move = world.disk.moves.length === 0 ? undefined : random.pick(world.disk.moves);
    if (daemon !== undefined && move !== undefined) {
      const what = random.pick(["pause", "resume", "resume", "cancel", "retry", "retry", "retry"] as const);
      world.note(`${what} ${move.id}`);
      daemon.moves[what](move.id, OPERATOR).catch((error: unknown) => world.violate(String(error)));
    }
    time.after(random.between(5_000, 60_000), order);
  }

  function storm(): void {
    if (!isStormy) return;
    if (daemon !== undefined && random.chance(0.8)) kill();
    time.after(random.between(1_000, 200_000), storm);
  }

  function crash(): void {
    if (!isStormy) return;
    if (daemon !== undefined) {
      daemon.crashWorker();
      crashes += 1;
    }
    time.after(random.between(1_000, 150_000), crash);
  }

  /** Users go back and forth, as long as there is a daemon to ask. */
  function wander(): void {
    if (!isStormy) return;
    const user = random.pick(world.users);
    const to = world.residenceOf(user) === "old" ? "new" : "old";
    const request = { users: [user], to, isRehearsal: random.chance(0.2), author: OPERATOR };
    daemon?.moves.start(request).catch((error: unknown) => world.note(`start: ${String(error)}`));
    time.after(random.between(5_000, 60_000), wander);
  }

  await start();
  for (const user of world.users) {
    mail(user);
    use(user);
  }
  order();
  if (random.chance(0.7)) time.after(random.between(1_000, 100_000), storm);
  if (random.chance(0.5)) time.after(random.between(1_000, 100_000), crash);
  if (random.chance(0.5)) time.after(random.between(10_000, 60_000), wander);
  time.after(random.between(0, 5_000), () => {
    const request = { users: world.users, to: "new", author: OPERATOR };
    daemon?.moves.start(request).catch((error: unknown) => world.note(`start: ${String(error)}`));
  });
  await time.run(STORMY_MS);
  isStormy = false;
  world.calm();
  time.after(60_000, () => {
    for (const move of world.disk.moves) void daemon?.moves.resume(move.id, OPERATOR);
  });
  const isOver = (): boolean =>
    world.pendingCount === 0 && time.nowMs > STORMY_MS + 120_000 && world.disk.moves.every((move) => !move.isActive);
  await time.run(STORMY_MS + CALM_MS, isOver);
  world.checkEnd();
  daemon?.kill();
  const { violations, story } = world;
  const { moves } = world.disk;
  const returns = moves.filter(({ to, state }) => to === "old" && state === "done").length;
  return { seed, violations, story, phases: moves.map(({ state }) => state), kills, crashes, returns, messages };
}
