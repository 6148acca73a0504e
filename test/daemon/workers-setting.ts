import type { LmtpClient } from "../support/lmtp-client.ts";
import { until } from "../support/until.ts";
import { startAdmin } from "./admin-setting.ts";
import type { AdminSetting } from "./admin-setting.ts";
import type { Scope } from "./setting.ts";

export const WORKERS = 3;

export interface Status {
  readonly workers: readonly number[];
  readonly holds: number;
  readonly listeners: readonly { readonly address: string; readonly connections: number }[];
  readonly deliveries: { readonly under_way: number; readonly parked: number };
}

export const statusOf = ({ client }: AdminSetting): Promise<Status> => client.ask<Status>("GET", "/v1/status");

export async function waitForStatus(
  setting: AdminSetting,
  what: string,
  look: (status: Status) => boolean,
): Promise<Status> {
  return until(what, async () => {
    const status = await statusOf(setting);
    return look(status) ? status : undefined;
  });
}

export const startWorkers = (t: Scope, changes: Parameters<typeof startAdmin>[1] = {}): Promise<AdminSetting> =>
  startAdmin(t, { ...changes, more: [...workersLine(changes.more), ...(changes.more ?? [])] });

const workersLine = (more: readonly string[] = []): readonly string[] =>
  more.some((line) => line.startsWith("process:")) ? [] : [`process: { workers: ${WORKERS} }`];

/** So many that hardly ever all are one worker's. */
export const connectMany = (setting: AdminSetting, count = 12): Promise<LmtpClient[]> =>
  Promise.all(Array.from({ length: count }, () => setting.connect()));

export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
