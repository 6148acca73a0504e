import { Command, CommanderError } from "commander";
import { EXIT } from "../core/exit-codes.ts";
import { readVersion } from "./version.ts";

const DEFAULT_CONFIG = "/etc/mailshunt/mailshunt.yaml";
const DEFAULT_LMTP_PROXY_CONFIG = "/etc/lmtp-proxy.conf";

interface ConfigFlag {
  readonly config: string;
}

/**
 * Runs a command line, without Node's and the script's own name. What a command needs is loaded when it is called.
 * @returns the exit code; 64 for a command line that makes no sense
 */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  // A reader that has seen enough, as `head`, is no fault of anybody.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  let exitCode: number = EXIT.ok;
  const exitWith = (code: number): void => void (exitCode = code);
  const [first, ...rest] = words;
  try {
    if (first === "lmtp-proxy") await lmtpProxy(exitWith).parseAsync(rest, { from: "user" });
    else await mailshunt(exitWith).parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
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
      const { serve } = await import("./serve.ts");
      const configPath = typeof config === "string" ? config : DEFAULT_LMTP_PROXY_CONFIG;
      exitWith(await serve({ program: "lmtp-proxy", configPath, isBackground: daemonize === true }));
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
      const { serve } = await import("./serve.ts");
      exitWith(await serve({ program: "mailshunt", configPath: config, isBackground: daemonize === true }));
    });

  withConfig("check", "show every fault of a configuration file").action(async ({ config }: ConfigFlag) => {
    const { runCheck } = await import("./check.ts");
    exitWith(await runCheck({ path: config }, process.stdout));
  });

  withConfig("route", "say where mail for an address goes, and why")
    .option("--json", "one JSON object a line")
    .argument("<address...>")
    .action(async (addresses: string[], { config, json }: ConfigFlag & { json?: true }) => {
      const { runRoute } = await import("./route.ts");
      exitWith(await runRoute({ path: config, isJson: json === true, addresses }, process.stdout, process.stderr));
    });

  program
    .command("convert")
    .description("print a configuration file of lmtp-proxy in mailshunt's own format")
    .requiredOption("-c, --config <file>", "the file of lmtp-proxy")
    .action(async ({ config }: ConfigFlag) => {
      const { runConvert } = await import("./convert.ts");
      exitWith(await runConvert({ path: config }, process.stdout, process.stderr));
    });

  return program;
}
