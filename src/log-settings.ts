import type { Config } from "./config/config.ts";
import type { LogSettings } from "./observe/daemon-log.ts";

/** How long the log may take for its last lines, in ms. */
export const LOG_CLOSE_MS = 2_000;

/** In the background there is no terminal, and the older lmtp-proxy went to syslog too. */
export function logSettings({ log }: Pick<Config, "log">, isBackground: boolean): LogSettings {
  return isBackground && log.to.kind === "stderr" ? { ...log, to: { kind: "syslog" } } : log;
}
