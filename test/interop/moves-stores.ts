import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { runOk } from "../support/processes.ts";
import { dovecotImapFolder, logIn } from "./dovecot-imap.ts";
import { PASSWORD } from "./logins.ts";
import { newMessage } from "./messages.ts";

export interface MoveStore extends Dovecot {
  /** What a user's folder holds, `INBOX` unless another is named. */
  contents(user: string, folder?: string): Promise<readonly StoredMessage[]>;
}

export interface StoredMessage {
  /** Message-ID without angle brackets. */
  readonly id: string;
  readonly isSeen: boolean;
  /** When it came, or its flags were changed, on the wall clock in ms. */
  readonly changedMs: number;
}

/** Who may log in as everybody. */
export const MASTER = { user: "admin", password: "master" } as const;

/** A Dovecot in which everybody has a mailbox, and which tells its name to those who ask by ID. */
export async function startMoveStore(name: string, folder: string): Promise<MoveStore> {
  const mail = join(folder, name);
  await mkdir(mail);
  const [uid, gid] = await Promise.all([runOk(["id", "-u", "mail"]), runOk(["id", "-g", "mail"])]);
  await chown(mail, Number(uid), Number(gid));
  const dovecot = await startDovecot({
    users: [],
    imapFolder: await dovecotImapFolder(),
    auth: `
auth_master_user_separator = *
passdb {
  driver = static
  args = password=${MASTER.password} user=${MASTER.user}
  master = yes
  result_success = continue
}
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${mail}/%u
}
`,
    config: `
auth_failure_delay = 0
imap_id_send = name ${name}
mail_max_userip_connections = 100
namespace inbox {
  inbox = yes
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
  });
  return {
    ...dovecot,
    contents: (user, box = "INBOX") => readFolder(join(mail, user, "Maildir", ...(box === "INBOX" ? [] : [`.${box}`]))),
  };
}

async function readFolder(path: string): Promise<readonly StoredMessage[]> {
  const found: StoredMessage[] = [];
  for (const part of ["cur", "new"])
    for (const name of await readdir(join(path, part)).catch(() => [])) {
      const file = join(path, part, name);
      const text = await readFile(file, "latin1");
      const { ctimeMs, mtimeMs, nlink } = await stat(file);
      // A message for several users is one file with a link in each mailbox: what one of them does changes its ctime for all.
      const changedMs = nlink > 1 ? mtimeMs : ctimeMs;
      const id = /^Message-ID: <(.*?)>\r?$/im.exec(text)?.[1] ?? `none in ${name}`;
      found.push({ id, isSeen: /:2,\w*S/.test(name), changedMs });
    }
  return found;
}

/** What a mailbox has that is used: read and unread mail, and folders. @returns the Message-IDs in INBOX */
export async function fillMailbox(imapPort: number, user: string, messages: number): Promise<readonly string[]> {
  const client = await logIn(imapPort, user, PASSWORD);
  const ids: string[] = [];
  const append = async (folder: string, flags: string): Promise<string> => {
    const { id, content } = newMessage("old", "x".repeat(70).concat("\r\n").repeat(20));
    await client.command(`APPEND ${folder} (${flags}) {${Buffer.byteLength(content)}+}\r\n${content}`);
    return id;
  };
  for (const folder of ["Archive", "Archive.2025"]) {
    await client.command(`CREATE ${folder}`);
    await client.command(`SUBSCRIBE ${folder}`);
    await append(folder, "\\Seen \\Flagged");
  }
  for (let n = 0; n < messages; n += 1) ids.push(await append("INBOX", n % 2 === 0 ? "\\Seen $Label1" : ""));
  client.close();
  return ids;
}
