import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** On what, with what and when something was measured. */
export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly hardware: string;
  readonly system: string;
  /** Name → version. */
  readonly versions: Readonly<Record<string, string>>;
  /** How many processes wanted a processor when it began, over a minute: near 0 on a quiet machine. */
  readonly loadBefore: number;
  readonly isQuick: boolean;
  readonly rounds: number;
}

export function describeMachine(isQuick: boolean, rounds: number): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
    commit: ask("git", ["-C", import.meta.dirname, "describe", "--always", "--dirty"], /(\S+)/),
    hardware: `${availableParallelism()} × ${cpus()[0]?.model ?? "?"} (${arch()}), ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${readSystem()}, Linux ${release().split("-")[0]}`,
    versions: {
      Node: process.version.slice(1),
      HAProxy: ask("haproxy", ["-v"], /version (\d[\d.]*)/),
      nginx: ask("nginx", ["-v"], /nginx\/(\S+)/),
      Dovecot: ask("dovecot", ["--version"], /(\d[\d.]*)/),
      Postfix: ask("postconf", ["-d", "-h", "mail_version"], /(\S+)/),
    },
    loadBefore: loadavg()[0] ?? Number.NaN,
    isQuick,
    rounds,
  };
}

export function formatMachine(machine: Machine): string {
  const { date, commit, hardware, system, versions, loadBefore, isQuick, rounds } = machine;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const provisional = isQuick ? " **A quick run: provisional figures.**" : "";
  const busy =
    loadBefore > 0.5 ? ` The machine had other work (load ${loadBefore.toFixed(1)}): provisional figures.` : "";
  return `Measured ${date} at ${commit}, ${rounds} rounds, on ${hardware}; ${system}; ${programs.join(", ")}.${provisional}${busy}`;
}

/** Some print their version to stderr. */
function ask(program: string, words: readonly string[], version: RegExp): string {
  try {
    const output = execFileSync("sh", ["-c", '"$@" 2>&1', "sh", program, ...words], { encoding: "utf8" });
    return version.exec(output)?.[1] ?? "?";
  } catch {
    return "?";
  }
}

function readSystem(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "?";
  } catch {
    return "?";
  }
}
