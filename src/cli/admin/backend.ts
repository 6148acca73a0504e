import { EXIT } from "../../core/exit-codes.ts";
import type { CommandIo } from "../command-io.ts";
import { formatBackends } from "./status.ts";
import type { BackendState } from "./status.ts";
import { withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface BackendFlags extends AdminFlags {
  readonly json?: true;
  readonly why?: string;
}

interface Backends {
  readonly backends: readonly BackendState[];
}

/** `mailshunt backend list`. @returns 0 */
export async function runBackendList(flags: BackendFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => show(await client.ask<Backends>("GET", "/v1/backends"), flags, io));
}

/** `mailshunt backend disable` and `enable`. @returns 0 */
export async function runBackendDisabled(
  name: string,
  isDisabled: boolean,
  flags: BackendFlags,
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const body = { backend: name, disabled: isDisabled, why: flags.why };
    const reply = await client.ask<Backends & { readonly kept: boolean }>("POST", "/v1/backends/disabled", { body });
    if (isDisabled && !reply.kept)
      io.stderr.write("mailshunt: there is no directory that keeps this: it lasts until the daemon restarts\n");
    return show(reply, flags, io);
  });
}

function show({ backends }: Backends, { json }: BackendFlags, { stdout }: CommandIo): number {
  if (json === true) for (const backend of backends) stdout.write(`${JSON.stringify(backend)}\n`);
  else stdout.write(formatBackends(backends, undefined));
  return EXIT.ok;
}

/** `mailshunt reload`. @returns 0 when the new configuration is in effect, 78 when it is not */
export async function runReload(flags: AdminFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const reply = await client.ask<{ number: number; took_effect: boolean; reasons: readonly string[] }>(
      "POST",
      "/v1/reload",
    );
    if (reply.took_effect) {
      io.stdout.write(`reload ${reply.number} took effect\n`);
      return EXIT.ok;
    }
    for (const reason of reply.reasons) io.stderr.write(`${reason}\n`);
    io.stderr.write(`mailshunt: reload ${reply.number} failed: what was in effect stays\n`);
    return EXIT.config;
  });
}

/** `mailshunt flush`. @returns 0 */
export async function runFlush(flags: AdminFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    await client.ask("POST", "/v1/flush");
    io.stdout.write("the caches of all tables are empty\n");
    return EXIT.ok;
  });
}
