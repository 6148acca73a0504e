// oxlint-disable-next-line import/no-unassigned-import -- for its effect, before anything else: see there
import "./core/early-signals.ts";
import { runCommandLine } from "./cli/command-line.ts";

process.exitCode = await runCommandLine(process.argv.slice(2));
