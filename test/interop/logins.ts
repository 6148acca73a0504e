import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Dovecot, findDovecotPop3, startDovecot } from "../support/dovecot.ts";
import { runOk } from "../support/processes.ts";
import { dovecotImapFolder, logIn, whyNoDovecotImap } from "./dovecot-imap.ts";

export const PASSWORD = "secret";

/** Why no Dovecot with IMAP and POP3 can run here, or false. */
export async function whyNoDovecotLogins(): Promise<string | false> {
  const reason = await whyNoDovecotImap();
  if (reason !== false) return reason;
  const pop3 = await findDovecotPop3();
  return pop3.kind === "ready" ? false : pop3.reason;
}

/** A store in which everybody has a mailbox, with one password, and a folder by which one knows the store. */
export async function startLoginStore(name: string, folder: string): Promise<Dovecot> {
  const pop3 = await findDovecotPop3();
  if (pop3.kind === "missing") throw new Error(pop3.reason);
  const mail = join(folder, name);
  await mkdir(mail);
  const [uid, gid] = await Promise.all([runOk(["id", "-u", "mail"]), runOk(["id", "-g", "mail"])]);
  await chown(mail, Number(uid), Number(gid));
  return startDovecot({
    users: [],
    imapFolder: await dovecotImapFolder(),
    pop3Folder: pop3.folder,
    auth: `
auth_master_user_separator = *
passdb {
  driver = static
  args = password=master user=admin
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
namespace inbox {
  inbox = yes
  mailbox "of ${name}" {
    auto = create
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
  });
}

/** The store in which an IMAP login ends up, or what is said to it. */
export async function storeBehind(port: number, user: string, password = PASSWORD): Promise<string> {
  try {
    const client = await logIn(port, user, password);
    const folders = await client.command('LIST "" "of *"');
    client.close();
    return folders.map(({ text }) => /"of (\w+)"$/.exec(text)?.[1] ?? text).join();
  } catch (error) {
    return /c1 (.*)$/.exec(String(error))?.[1] ?? String(error);
  }
}
