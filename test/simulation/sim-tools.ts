import type { RunParts } from "../../src/moves/run/context.ts";
import { ActFailed } from "../../src/moves/tools.ts";
import type { MoveSubject, OutsideAuthority, Supervised } from "../../src/moves/tools.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Group, SimWorld } from "./sim-world.ts";

const OUTSIDE_SETTLE_MS = 10_000;

/** Commands, checks and the outside table, as the daemon of that time asks them. */
export function createSimTools(process: SimProcess): Pick<RunParts, "commands" | "checks" | "outside"> {
  const { world } = process;
  const { random } = world;

  function fail(what: "command" | "check"): void {
    if (world.fails(what)) throw new ActFailed(`simulated ${what}`);
  }

  async function run(what: string, { user }: MoveSubject, supervised: Supervised, ms: number): Promise<Group> {
    const pgid = 1000 + world.newId();
    const group = {
      command: { pgid, startTicks: "1", bootId: "sim", token: `${user}/${what.includes("sync") ? "sync" : what}` },
      isAlive: false,
    };
    world.groups.set(pgid, group);
    const mayRun = (await supervised.mayStart(group.command)) && !supervised.signal.aborted;
    group.isAlive = mayRun;
    const abort = (): void => void (group.isAlive = false);
    supervised.signal.addEventListener("abort", abort);
    if (mayRun) world.note(`${what} of ${user} runs as ${pgid}`);
    await process.sleep(mayRun ? ms : 1);
    supervised.signal.removeEventListener("abort", abort);
    if (!group.isAlive) throw new ActFailed(`${what} was killed`);
    return group;
  }

  async function shortCommand(what: string, subject: MoveSubject, supervised: Supervised): Promise<void> {
    const group = await run(what, subject, supervised, random.between(0, 500));
    group.isAlive = false;
    fail("command");
  }

  return {
    commands: {
      faultOf: () => undefined,
      has: (what) => world.hasCommand(what),
      async sync(which, subject, supervised) {
        const { from, to, user } = subject;
        const isSlow = random.chance(0.05);
        const ms = random.between(10, isSlow ? 100_000 : which === "pre-sync" ? 8_000 : 3_000);
        // It goes on by itself, whoever has started it.
        let group: Group | undefined;
        const failsMidway = world.fails("command");
        const started: Supervised = {
          signal: supervised.signal,
          mayStart: async (command) => {
            const mayStart = await supervised.mayStart(command);
            group = world.groups.get(command.pgid);
            if (!mayStart || group === undefined) return mayStart;
            copy(world, group, { from, to, user }, ms, failsMidway);
            return true;
          },
        };
        await run(which, subject, started, ms);
        if (group !== undefined) group.isAlive = false;
        if (failsMidway) throw new ActFailed("simulated sync");
      },
      lock: (subject, supervised) => shortCommand("lock", subject, supervised),
      unlock: (subject, supervised) => shortCommand("unlock", subject, supervised),
      async kick(subject, supervised) {
        await shortCommand("kick", subject, supervised);
        for (const session of world.sessions)
          if (session.user === subject.user && session.store === subject.from) {
            session.isOpen = false;
            world.sessions.delete(session);
          }
        return true;
      },
      async countSessions({ user, from }) {
        await process.sleep(random.between(0, 100));
        fail("command");
        if (!world.countsSessions) return undefined;
        return [...world.sessions].filter((session) => session.user === user && session.store === from).length;
      },
      async stop({ pgid }) {
        await process.sleep(random.between(0, 50));
        const group = world.groups.get(pgid);
        if (group?.isAlive !== true) return true;
        if (world.fails("command")) return false;
        world.note(`${pgid} is killed`);
        group.isAlive = false;
        return true;
      },
      forget: () => Promise.resolve(),
    },
    checks: {
      faultOf: () => undefined,
      whyNotCompared: () => (world.comparesMailboxes ? undefined : "not compared"),
      async compare({ user, from, to }) {
        await process.sleep(random.between(0, 1_000));
        fail("check");
        const differences = countDifferences(world.mailbox(from, user), world.mailbox(to, user));
        return { differences, text: `${differences} differences` };
      },
      async probe() {
        await process.sleep(random.between(0, 200));
        fail("check");
      },
      forget: () => undefined,
    },
    outside: world.hasTable ? createOutside(process) : undefined,
  };
}

function copy(
  world: SimWorld,
  group: Group,
  { user, from, to }: { user: string; from: string; to: string },
  ms: number,
  failsMidway: boolean,
): void {
  const readMs = world.random.between(0, ms - 1);
  world.time.after(readMs, () => {
    const messages = [...world.mailbox(from, user)];
    world.time.after(ms - 1 - readMs, () => {
      const isWhole = !failsMidway && !world.fails("flaw");
      if (group.isAlive) world.replace(to, user, isWhole ? messages : messages.slice(1));
    });
  });
}

function countDifferences(a: readonly string[], b: readonly string[]): number {
  const [left, right] = [[...a].sort(), [...b].sort()];
  return left.length === right.length && left.every((message, at) => message === right[at]) ? 0 : 1;
}

function createOutside(process: SimProcess): OutsideAuthority {
  const { world } = process;
  const { random, table } = world;
  const set = (user: string, backend: string): void => {
    world.note(`the table says ${backend} of ${user}`);
    if (process.isDead && random.chance(0.5)) return;
    table.set(user, backend);
  };
  return {
    table: "users",
    settleMs: OUTSIDE_SETTLE_MS,
    async write(user, backend) {
      if (world.fails("outside")) {
        if (random.chance(0.3)) return { kind: "refused", reason: "simulated" };
        if (random.chance(0.6))
          world.time.after(random.between(0, OUTSIDE_SETTLE_MS - 1_000), () => set(user, backend));
        await process.sleep(random.between(0, 500));
        return { kind: "unknown", reason: "simulated" };
      }
      world.time.after(random.between(0, 300), () => set(user, backend));
      await process.sleep(300);
      return { kind: "written" };
    },
    async read(user) {
      await process.sleep(random.between(0, 100));
      if (world.fails("outside")) return { kind: "failed", reason: "simulated" };
      const backend = table.get(user);
      return backend === undefined ? { kind: "absent" } : { kind: "found", backend };
    },
    async forget(user) {
      await process.sleep(random.between(0, 20));
      if (world.fails("outside")) throw new Error("simulated");
      process.cache.delete(user);
    },
  };
}
