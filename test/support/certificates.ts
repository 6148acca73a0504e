import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A CA of our own, good until 2126. Its key is thrown away. */
export const CA_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIUUacayg0y9K42oIJVvd5oZklpXlwwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRbWFpbHNodW50IHRlc3QgQ0EwIBcNMjYxMTIwMTkxMDQwWhgP
MjEyNjEwMjcxOTEwNDBaMBwxGjAYBgNVBAMMEW1haWxzaHVudCB0ZXN0IENBMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzQCEnaeV2IGW2aZlHBSLGvoIoHQXgPqL
o1S5YM+Fhj+ZabkPryaCK+66+ZKqQFV96noGz3oFuV/TVXonXT4xRaNjMGEwHQYD
VR0OBBYEFG+HyiStm8tfTAD3TDwKgVoAUqqvMB8GA1UdIwQYMBaAFG+HyiStm8tf
TAD3TDwKgVoAUqqvMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoG
CCqGSM49BAMCA0gAMEUCIQCim7KS3+a7+TihCWdCysOD/x9h8UZYrBy2Tkmisijm
UQIgWntvyR4rBHR8/YaUlXuSJ9qn8VlQ5DQaR4OGMUy+9JA=
-----END CERTIFICATE-----
`;

/** For `localhost`, 127.0.0.1 and ::1, signed by that CA. */
export const SERVER_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBsDCCAVWgAwIBAgIUFVKfd7kTeysJTrFoVW5/Uhb/K1owCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRbWFpbHNodW50IHRlc3QgQ0EwIBcNMjYxMTIwMTkxMDQxWhgP
MjEyNjEwMjcxOTEwNDFaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABHw3Ywxh5UrrqUsaBbXbz1vKpATUR40WplnObT+Eo5pQ
otf4nS3M0vVQz+0uLj34m3uY10KerCwO2856w0xyktijezB5MCwGA1UdEQQlMCOC
CWxvY2FsaG9zdIcEfwAAAYcQAAAAAAAAAAAAAAAAAAAAATAJBgNVHRMEAjAAMB0G
A1UdDgQWBBTfzop/WJCPX5+Hc2TGC5PFXx9xDzAfBgNVHSMEGDAWgBRvh8okrZvL
X0wA90w8CoFaAFKqrzAKBggqhkjOPQQDAgNJADBGAiEA2YDRjqKDEEeUOrMIzr94
n31BujcSOAzaNwal253cbpACIQDWI11QKIK4rAaQFVSOOTMFtP+uxJw1ZTAKvGUc
gecX3Q==
-----END CERTIFICATE-----
`;

/** Its key is a secret of nobody. */
export const SERVER_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRy2QnMYJr10/I2Su
DtnPt0muzQLYyTzGobMiQq+jI+uhRANCAAR8N2MMYeVK66lLGgW1289byqQE1EeN
FqZZzm0/hKOaUKLX+J0tzNL1UM/tLi49+Jt7mNdCnqwsDtvOesNMcpLY
-----END PRIVATE KEY-----
`;

export interface TlsFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** What a server of TLS needs, and its client, in files below a folder. */
export async function writeTlsFiles(folder: string): Promise<TlsFiles> {
  const path = (name: string): string => join(folder, name);
  const files = { caFile: path("ca.pem"), certificateFile: path("certificate.pem"), keyFile: path("key.pem") };
  await writeFile(files.caFile, CA_CERTIFICATE);
  await writeFile(files.certificateFile, SERVER_CERTIFICATE);
  await writeFile(files.keyFile, SERVER_KEY);
  // PostgreSQL wants its key to be readable by nobody else.
  await chmod(files.keyFile, 0o600);
  return files;
}
