import { Option } from "commander";
import type { Command } from "commander";
import type { BackendFlags } from "./admin/backend.ts";
import type { HistoryFlags } from "./admin/history.ts";
import type { HoldFlags, ReleaseFlags } from "./admin/hold.ts";
import type { StatusFlags } from "./admin/status.ts";
import type { UserExportFlags, UserFlags, UserListFlags } from "./admin/user.ts";
import type { AdminFlags } from "./admin/with-admin.ts";
import type { CommandIo } from "./command-io.ts";

/** Where the daemon is looked for; the configuration's `admin` listener says where it is. */
export const DEFAULT_ADMIN = "unix:/run/mailshunt/admin";

export const YES = "also where a move has put the mailbox in another store";

/** The commands that speak with a running daemon. */
export function addAdminCommands(program: Command, exitWith: (code: number) => void, io: CommandIo = process): void {
  const add = (parent: Command, usage: string, description: string): Command =>
    parent
      .command(usage)
      .description(description)
      .option("--admin <address>", "the daemon's admin listener", DEFAULT_ADMIN)
      .option("--token-file <file>", "with the token, over TCP");
  const json = (command: Command): Command => command.option("--json", "one JSON object a line");

  json(add(program, "status", "the daemon, its stores, what is under way and who is held"))
    .option("--watch", "again each second")
    .action(async (flags: StatusFlags) => {
      const { runStatus } = await import("./admin/status.ts");
      exitWith(await runStatus(flags, io));
    });
  json(
    add(program, "hold <user...>", "pause users' mail; exits 0 once nothing can reach their stores any more, else 75"),
  )
    .option("--reason <text>", "told to whoever sends, and logged")
    .option("--deadline <duration>", "after which they are released; default: by the configuration, 15m")
    .option("--owner <name>", "a user is held while any owner holds; default: admin")
    .action(async (users: string[], flags: HoldFlags) => {
      const { runHold } = await import("./admin/hold.ts");
      exitWith(await runHold(users, flags, io));
    });
  json(add(program, "release <user...>", "let users' mail go on"))
    .option("--owner <name>", "whose hold; default: admin")
    .action(async (users: string[], flags: ReleaseFlags) => {
      const { runRelease } = await import("./admin/hold.ts");
      exitWith(await runRelease(users, flags, io));
    });
  json(add(program, "history <user>", "what was done with a user, the newest first"))
    .option("--limit <number>", "changes shown; default: 100")
    .action(async (user: string, flags: HistoryFlags) => {
      const { runHistory } = await import("./admin/history.ts");
      exitWith(await runHistory(user, flags, io));
    });
  add(program, "reload", "read the configuration anew; exits 0 when it took effect").action(
    async (flags: AdminFlags) => {
      const { runReload } = await import("./admin/backend.ts");
      exitWith(await runReload(flags, io));
    },
  );
  add(program, "flush", "empty the caches of all tables").action(async (flags: AdminFlags) => {
    const { runFlush } = await import("./admin/backend.ts");
    exitWith(await runFlush(flags, io));
  });

  const backend = program.command("backend").description("stores, in and out of service");
  json(add(backend, "list", "the stores and how they are")).action(async (flags: BackendFlags) => {
    const { runBackendList } = await import("./admin/backend.ts");
    exitWith(await runBackendList(flags, io));
  });
  for (const [word, isDisabled] of [
    ["disable", true],
    ["enable", false],
  ] as const)
    json(
      add(
        backend,
        `${word} <backend>`,
        isDisabled ? "its users hear 4xx until it is enabled; a directory keeps that over restarts" : "back in service",
      ),
    )
      .option("--why <text>", "for the status")
      .action(async (name: string, flags: BackendFlags) => {
        const { runBackendDisabled } = await import("./admin/backend.ts");
        exitWith(await runBackendDisabled(name, isDisabled, flags, io));
      });

  const user = program.command("user").description("who lives where: the directory");
  json(add(user, "get <user...>", "entry, holds and move; exits 1 if one has no entry")).action(
    async (users: string[], flags: UserFlags) => {
      const { runUserGet } = await import("./admin/user.ts");
      exitWith(await runUserGet(users, flags, io));
    },
  );
  json(add(user, "set <user...>", "say where users live; their mail is not moved: that is `move`"))
    .requiredOption("--to <backend>", "the store")
    .option("--why <text>", "for the history")
    .option("--dry-run", "say what would change")
    .option("--yes", YES)
    .action(async (users: string[], flags: UserFlags & { to: string }) => {
      const { runUserSet } = await import("./admin/user.ts");
      exitWith(await runUserSet(users, flags.to, flags, io));
    });
  json(add(user, "unset <user...>", "remove entries: tables and fallback count again"))
    .option("--why <text>", "for the history")
    .option("--yes", YES)
    .action(async (users: string[], flags: UserFlags) => {
      const { runUserUnset } = await import("./admin/user.ts");
      exitWith(await runUserUnset(users, flags, io));
    });
  json(add(user, "list", "all entries"))
    .option("--backend <name>", "of this store alone")
    .option("--prefix <text>", "users that begin so")
    .action(async (flags: UserListFlags) => {
      const { runUserList } = await import("./admin/user.ts");
      exitWith(await runUserList(flags, io));
    });
  add(user, "export", "all entries, as import takes them or as a map for perdition")
    .addOption(new Option("--format <format>", "default: csv").choices(["csv", "perdition"]))
    .addOption(
      new Option("--service <service>", "for perdition: whose addresses; default: imap").choices(["imap", "pop3"]),
    )
    .option("--backend <name>", "of this store alone")
    .option("--prefix <text>", "users that begin so")
    .action(async (flags: UserExportFlags) => {
      const { runUserExport } = await import("./admin/user.ts");
      exitWith(await runUserExport(flags, io));
    });
  json(add(user, "import <file>", 'set many: lines of "user,backend" or "user backend"; "-" reads standard input'))
    .option("--why <text>", "for the history")
    .option("--dry-run", "count what would change")
    .option("--yes", YES)
    .action(async (file: string, flags: UserFlags) => {
      const { runUserImport } = await import("./admin/user-import.ts");
      exitWith(await runUserImport(file, flags, io));
    });
}
