/** Makes names of messages that no other process and no other machine makes. Source: maildir(5), and https://cr.yp.to/proto/maildir.html */
export function messageNames(hostname: string, pid: number, wallMs: () => number): () => string {
  const host = hostname.replaceAll("/", "\\057").replaceAll(":", "\\072");
  let count = 0;
  return () => {
    const nowMs = wallMs();
    const seconds = Math.floor(nowMs / 1000);
    const microseconds = Math.floor((nowMs - seconds * 1000) * 1000);
    count += 1;
    return `${seconds}.M${microseconds}P${pid}Q${count}.${host}`;
  };
}

/** Which process of which machine made a name; undefined: it is none of ours. */
export function makerOf(name: string): { readonly pid: number; readonly host: string } | undefined {
  const match = /^\d+\.M\d+P(\d+)Q\d+\.(.+)$/.exec(name);
  if (match === null) return undefined;
  return { pid: Number(match[1]), host: (match[2] ?? "").replaceAll("\\057", "/").replaceAll("\\072", ":") };
}
