import { Command, CommanderError, Option } from "commander";
import { addAdminCommands, DEFAULT_ADMIN } from "./admin-commands.ts";
import type { SourceFlags } from "./ask-daemon.ts";
import { addMoveCommands } from "./move-commands.ts";
import { DEFAULT_CONFIG, DEFAULT_LMTP_PROXY_CONFIG } from "../config/default-files.ts";
import { EXIT } from "../core/exit-codes.ts";
import type { PodopFlags } from "./podop.ts";
import type { SendOptions } from "./send.ts";
import type { StoreCommandOptions } from "./store.ts";
import { readVersion } from "./version.ts";

type SendFlags = Partial<Omit<SendOptions, "address">>;
type StoreFlags = Omit<StoreCommandOptions, "directory">;

interface ConfigFlag {
  readonly config: string;
}

/**
 * Runs a command line, without Node's and the script's own name. What a command needs is loaded when it is called.
 * @returns the exit code; 64 for a command line that makes no sense, 70 for a bug of ours
 */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  // A reader that has seen enough, as `head`, is no fault of anybody.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.stderr.write(`mailshunt: output could not be written: ${error.message}\n`);
    process.exit(EXIT.osError);
  });
  // There is nobody left to tell.
  process.stderr.on("error", () => undefined);
  let exitCode: number = EXIT.ok;
  const exitWith = (code: number): void => void (exitCode = code);
  const [first, ...rest] = words;
  try {
    if (first === "podop") await podop(exitWith).parseAsync(rest, { from: "user" });
    else if (first === "lmtp-proxy") await lmtpProxy(exitWith).parseAsync(rest, { from: "user" });
    else await mailshunt(exitWith).parseAsync([...words], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    process.stderr.write(`mailshunt: a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT.software;
  }
  return exitCode;
}

/** The command line of the older tool, as it documents it. */
function lmtpProxy(exitWith: (code: number) => void): Command {
  return new Command("lmtp-proxy")
    .usage("[-h] [-c [CONFIG]] [-D]")
    .description("LMTP proxy that sends each recipient to the right mailbox store.")
    .helpOption("-h, --help", "show this help and exit")
    .option("-c, --config [CONFIG]", `configuration file; default ${DEFAULT_LMTP_PROXY_CONFIG}`)
    .option("-D, --daemonize", "run in the background, with a pid file; default: in the foreground")
    .exitOverride()
    .action(async ({ config, daemonize }: { config?: string | true; daemonize?: true }) => {
      const { runDaemon } = await import("../daemon.ts");
      const configPath = typeof config === "string" ? config : DEFAULT_LMTP_PROXY_CONFIG;
      const isBackground = daemonize === true;
      const configuration = { path: configPath };
      exitWith(await runDaemon({ program: "lmtp-proxy", version: readVersion(), configuration, isBackground }));
    });
}

/** The command line of the older tool, as it documents it; `--type` may be any of ours. */
function podop(exitWith: (code: number) => void): Command {
  const mode = new Option("--mode <mode>", "which server will connect").choices(["postfix", "dovecot"]);
  return new Command("podop")
    .usage("--socket SOCKET --mode {postfix,dovecot} [--name NAME --type TYPE --param PARAM]... [-v]")
    .description("Answers Postfix (socketmap) or Dovecot (dict) from tables such as HTTP services.")
    .helpOption("-h, --help", "show this help and exit")
    .requiredOption("--socket <path>", "the unix socket to listen on")
    .addOption(mode.makeOptionMandatory())
    .option("--name <name>", "name of a table on the wire; may be given several times, as the next two", collect)
    .option("--type <type>", "its type: url, or another one of mailshunt's", collect)
    .option("--param <param>", "its URL with § or {} for the key, or its options in braces", collect)
    .option("-v, --verbose", "log more; twice: every lookup", (_value, earlier: number) => earlier + 1, 0)
    .exitOverride()
    .action(async (flags: PodopFlags) => {
      const { runPodop } = await import("./podop.ts");
      exitWith(await runPodop(flags, readVersion(), process.stderr));
    });
}

function mailshunt(exitWith: (code: number) => void): Command {
  const program = new Command("mailshunt")
    .description("Sends each recipient's mail to the store where the mailbox lives.")
    .version(readVersion(), "-V, --version")
    .exitOverride();

  /** A command that reads a configuration file in either format. */
  const withConfig = (name: string, description: string): Command =>
    program.command(name).description(description).option("-c, --config <file>", "configuration file", DEFAULT_CONFIG);

  withConfig("serve", "run the daemon")
    .option("-D, --daemonize", "run in the background; returns when all listeners are open")
    .action(async ({ config, daemonize }: ConfigFlag & { daemonize?: true }) => {
      const { runDaemon } = await import("../daemon.ts");
      const isBackground = daemonize === true;
      const configuration = { path: config };
      exitWith(await runDaemon({ program: "mailshunt", version: readVersion(), configuration, isBackground }));
    });

  withConfig("check", "show every fault of a configuration file").action(async ({ config }: ConfigFlag) => {
    const { runCheck } = await import("./check.ts");
    exitWith(await runCheck({ path: config }, process.stdout));
  });

  /** A command that asks the running daemon, or a configuration file. */
  const withSource = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option("-c, --config <file>", "ask this configuration file; default: the running daemon")
      .option("--admin <address>", `the daemon's admin listener; default: ${DEFAULT_ADMIN}, or else ${DEFAULT_CONFIG}`)
      .option("--token-file <file>", "with the token, over TCP")
      .option("--json", "one JSON object a line");

  withSource("route", "say where mail for an address goes, and why")
    .argument("<address...>")
    .action(async (addresses: string[], { json, ...source }: SourceFlags & { json?: true }) => {
      const { runRoute } = await import("./route.ts");
      exitWith(await runRoute({ ...source, isJson: json === true, addresses }, process));
    });

  withSource("query", "ask a table, as postmap -q does: exits 0 when found, 1 when absent, 75 when that cannot be told")
    .argument("<table>")
    .argument("<key...>", '"-" reads keys from standard input, one a line')
    .action(async (table: string, keys: string[], { json, ...source }: SourceFlags & { json?: true }) => {
      const { runQuery } = await import("./query.ts");
      exitWith(await runQuery({ ...source, isJson: json === true, table, keys }, process));
    });

  const tables = program.command("table").description("write and list a table, where its type can");
  const withTable = (usage: string, description: string): Command =>
    tables.command(usage).description(description).option("-c, --config <file>", "configuration file", DEFAULT_CONFIG);
  withTable("set <table> <key> <value>", "write a value").action(
    async (table: string, key: string, value: string, { config }: ConfigFlag) => {
      const { runTableWrite } = await import("./table.ts");
      exitWith(await runTableWrite({ path: config, table, change: { kind: "set", key, value } }, process));
    },
  );
  withTable("unset <table> <key>", "remove a key").action(
    async (table: string, key: string, { config }: ConfigFlag) => {
      const { runTableWrite } = await import("./table.ts");
      exitWith(await runTableWrite({ path: config, table, change: { kind: "unset", key } }, process));
    },
  );
  withTable("list <table> [prefix]", "list the keys that begin with a prefix, with their values")
    .option("--json", "one JSON object a line")
    .action(async (table: string, prefix: string | undefined, { config, json }: ConfigFlag & { json?: true }) => {
      const { runTableList } = await import("./table.ts");
      exitWith(await runTableList({ path: config, isJson: json === true, table, prefix: prefix ?? "" }, process));
    });

  addAdminCommands(program, exitWith);
  addMoveCommands(program, exitWith);

  program
    .command("convert")
    .description("print a configuration file of lmtp-proxy in mailshunt's own format")
    .requiredOption("-c, --config <file>", "the file of lmtp-proxy")
    .action(async ({ config }: ConfigFlag) => {
      const { runConvert } = await import("./convert.ts");
      exitWith(await runConvert({ path: config }, process.stdout, process.stderr));
    });

  program
    .command("send")
    .description("send a message by LMTP and show each reply; exits 0 when every recipient was accepted")
    .option("--to <address>", "a recipient; may be given several times; default: postmaster", collect)
    .option("--from <address>", 'the sender, "" for the null sender; default: postmaster of this host')
    .option("--file <file>", "the message; default: standard input, or at a terminal a test message")
    .option("--user <name>", "log in by AUTH")
    .option("--password-file <file>", "with the password for AUTH")
    .option("--timeout <duration>", "for the connection and for each reply; default: 60s")
    .argument("<address>", "where: unix:/path, host:port or [v6]:port")
    .action(async (address: string, { to = [], ...options }: SendFlags) => {
      const { runSend } = await import("./send.ts");
      exitWith(await runSend({ address, to, ...options }, process));
    });

  program
    .command("store")
    .description("serve Maildirs by LMTP: DIR/<user>/Maildir")
    .requiredOption("--listen <address>", "unix:/path, host:port or [v6]:port")
    .option("--permissions <mode>", "of a unix socket, in octal")
    .option("--users <file>", "one user a line; default: any user")
    .option("--unknown <answer>", "to a user not in that file: 550, 451 or accept; default: 550")
    .option("--quota <size>", "of each mailbox, such as 50MB; default: none")
    .option("--over-quota <answer>", "of a full mailbox: 552 or 452; default: 552")
    .option("--key <part>", "localpart or address: what names a mailbox; default: localpart")
    .option("--recipient-delimiter <characters>", "which begin an extension; default: +")
    .option("--max-message-size <size>", "such as 50MB; default: none")
    .argument("<dir>", "made where it is missing")
    .action(async (directory: string, options: StoreFlags) => {
      const { runStore } = await import("./store.ts");
      exitWith(await runStore({ directory, ...options }, process));
    });

  program
    .command("demo")
    .description("try it: the daemon with two stores of its own; what npm start runs")
    .argument("[dir]", "for configuration, pid file and mail", "var")
    .action(async (directory: string) => {
      const { runDemo } = await import("./demo.ts");
      exitWith(await runDemo({ directory, version: readVersion() }, process));
    });

  return program;
}

const collect = (value: string, earlier: readonly string[] = []): readonly string[] => [...earlier, value];
