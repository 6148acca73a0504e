import type { Command } from "commander";
import { DEFAULT_ADMIN, YES } from "./admin-commands.ts";
import type { MoveListFlags, MoveOrderFlags } from "./admin/move.ts";
import type { MoveStartFlags } from "./admin/move-start.ts";

/** The commands of moves. */
export function addMoveCommands(program: Command, exitWith: (code: number) => void): void {
  const parent = program.command("move").description("move mailboxes to another store, while mail keeps flowing");
  const add = (usage: string, description: string): Command =>
    parent
      .command(usage)
      .description(description)
      .option("--admin <address>", "the daemon's admin listener", DEFAULT_ADMIN)
      .option("--token-file <file>", "with the token, over TCP")
      .option("--json", "one JSON object a line");

  add("start [user...]", "move users, those in a file, or all of a store; exits 0 when all are moved")
    .option("--to <backend>", "where they go")
    .option("--from <backend>", "only users who live there; alone: all of them that the directory knows")
    .option("--file <file>", 'a user a line, or the first of several columns; "-" reads standard input')
    .option("--preset <name>", "how mailboxes are copied; default: by the configuration")
    .option("--rehearse", "copy, compare and ask the new store, and end before users are locked out")
    .option("--dry-run", "say who would be moved")
    .option("--detach", "return once the moves are planned")
    .option("--yes", YES)
    .option("--unproven", "also where Postfix knows the store's own address, past which no drain is certain")
    .option("--why <text>", "for the history")
    .action(async (users: string[], flags: MoveStartFlags) => {
      const { runMoveStart } = await import("./admin/move-start.ts");
      exitWith(await runMoveStart(users, flags, process));
    });
  add("list", "moves in order of their creation")
    .option("--active", "those under way alone")
    .option("--phase <phase>", "such as pre-sync, failed, done")
    .option("--user <user>", "of one user")
    .option("--from <backend>", "away from there")
    .option("--to <backend>", "towards there")
    .action(async (flags: MoveListFlags) => {
      const { runMoveList } = await import("./admin/move.ts");
      exitWith(await runMoveList(flags, process));
    });
  add("show <move...>", "a move and its journal").action(async (ids: string[], flags: MoveListFlags) => {
    const { runMoveShow } = await import("./admin/move.ts");
    exitWith(await runMoveShow(ids, flags, process));
  });
  for (const [order, description] of [
    ["pause", "stop moves before their lock"],
    ["resume", "go on with paused moves"],
    ["cancel", "roll moves back to the old store; refused from the switch on"],
    ["retry", "plan failed moves once more"],
  ] as const) {
    const command = add(`${order} <move...>`, description).option("--why <text>", "for the history");
    if (order === "retry") command.option("--yes", YES);
    command.action(async (ids: string[], flags: MoveOrderFlags) => {
      const { runMoveOrder } = await import("./admin/move.ts");
      exitWith(await runMoveOrder(order, ids, flags, process));
    });
  }
}
