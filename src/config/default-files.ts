import { existsSync } from "node:fs";

export const DEFAULT_CONFIG = "/etc/mailshunt/mailshunt.yaml";
export const DEFAULT_LMTP_PROXY_CONFIG = "/etc/lmtp-proxy.conf";

export interface DefaultFiles {
  readonly own: string;
  readonly lmtpProxy: string;
}

const DEFAULT_FILES: DefaultFiles = { own: DEFAULT_CONFIG, lmtpProxy: DEFAULT_LMTP_PROXY_CONFIG };

/** For someone whose only file is that of `lmtp-proxy`, and who did not say so: what to type; else nothing. */
export function hintAtOtherFile(missing: string, { own, lmtpProxy }: DefaultFiles = DEFAULT_FILES): string {
  return missing === own && existsSync(lmtpProxy) ? ` (there is ${lmtpProxy}: use -c ${lmtpProxy})` : "";
}
