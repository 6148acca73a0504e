import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";

export interface User {
  /** Undefined for a bare number that no account has. */
  readonly name: string | undefined;
  readonly uid: number;
  /** The login group; undefined for a bare number that no account has. */
  readonly gid: number | undefined;
}

export interface Group {
  readonly gid: number;
}

type Database = "passwd" | "group";

/** A user by name or number; undefined if there is none of that name. */
export async function findUser(nameOrId: string): Promise<User | undefined> {
  const entry = await findEntry("passwd", nameOrId);
  if (entry !== undefined) return { name: entry[0], uid: Number(entry[2]), gid: Number(entry[3]) };
  return isNumber(nameOrId) ? { name: undefined, uid: Number(nameOrId), gid: undefined } : undefined;
}

/** A group by name or number; undefined if there is none of that name. */
export async function findGroup(nameOrId: string): Promise<Group | undefined> {
  if (isNumber(nameOrId)) return { gid: Number(nameOrId) };
  const entry = await findEntry("group", nameOrId);
  return entry === undefined ? undefined : { gid: Number(entry[2]) };
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

/** The fields of passwd(5) or group(5); in both the name is the first and the number the third. */
async function findEntry(database: Database, nameOrId: string): Promise<readonly string[] | undefined> {
  if (nameOrId === "") return undefined; // an empty line would have that name
  const field = isNumber(nameOrId) ? 2 : 0;
  const matches = (line: string): boolean => line.split(":")[field] === nameOrId;
  const local = await readFile(`/etc/${database}`, "utf8").catch(() => "");
  return (local.split("\n").find(matches) ?? (await askNameService(database, nameOrId)))?.split(":");
}

/** Accounts that live elsewhere, as LDAP or systemd: through getent(1), where there is one. */
function askNameService(database: Database, nameOrId: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    // "--" keeps a name that begins with a dash from being an option.
    execFile("getent", ["--", database, nameOrId], { timeout: 10_000 }, (error, stdout) => {
      const line = stdout.split("\n")[0];
      resolve(error === null && line !== undefined && line !== "" ? line : undefined);
    });
  });
}
