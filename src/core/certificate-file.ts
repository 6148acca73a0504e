import { X509Certificate } from "node:crypto";
import { closeSync, fstatSync, readFileSync } from "node:fs";
import * as v from "valibot";
import type { OptionSchema } from "./option-schema.ts";
import { absolutePath } from "./option-values.ts";
import { openFile } from "./open-file.ts";
import { describeReadError } from "./read-error.ts";
import { bad, ok } from "./units.ts";
import type { Parsed } from "./units.ts";

/** Longest file of certificates, in bytes: all that Debian trusts are 220 kB. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The path of a file of PEM certificates, which is read when it is checked; the value is its text. */
export const certificateFile = (): OptionSchema<string> =>
  v.pipe(
    absolutePath(),
    v.rawTransform(({ dataset, addIssue, NEVER }): string => {
      const read = readCertificates(dataset.value);
      if (read.kind === "ok") return read.value;
      addIssue({ message: read.reason });
      return NEVER;
    }),
  );

function readCertificates(path: string): Parsed<string> {
  let text: string;
  try {
    const file = openFile(path, false);
    try {
      if (fstatSync(file).size > MAX_FILE_BYTES) return bad(`${path} has more than ${MAX_FILE_BYTES} bytes`);
      text = readFileSync(file, "latin1");
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return bad(`cannot read ${path}: ${describeReadError(error)}`);
  }
  const certificates = text.match(CERTIFICATE);
  if (certificates === null) return bad(`there is no certificate in ${path}: expected -----BEGIN CERTIFICATE-----`);
  for (const [index, certificate] of certificates.entries())
    if (!isCertificate(certificate)) return bad(`certificate ${index + 1} in ${path} cannot be read`);
  return ok(certificates.join("\n"));
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
