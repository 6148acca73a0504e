import { MAX_UNIX_PATH_BYTES } from "../core/endpoint.ts";

/**
 * What `npm start` writes the first time.
 * @param folder absolute; the stores' Maildirs are below it
 */
export function firstConfig(folder: string): string {
  const admin = `${folder}/admin`;
  // A checkout may lie deeper than a unix socket can: then mail is routed, and nobody is moved.
  const canMove = Buffer.byteLength(admin) <= MAX_UNIX_PATH_BYTES;
  return `# Written by the first "npm start" and never again: it is yours to change.
# What you change takes effect at once with: kill -HUP $(cat var/pid)
version: 1
listeners:
  - { protocol: lmtp, address: "127.0.0.1:2424" }
${canMove ? `  - { protocol: admin, address: ${JSON.stringify(`unix:${admin}`)} }\n` : ""}\
backends:
  # "npm start" runs a small store at each of these two addresses, with Maildirs beside this file.
  old: { lmtp: "127.0.0.1:2425" }
  new: { lmtp: "127.0.0.1:2426" }
tables:
  users:
    type: static
    entries:
      ann: old
      bob: new
      cleo: hold # 450: the client keeps the mail and tries again
      dora: refuse # 550: the mail bounces
routing:
  tables: [users]
  fallback: old # everybody else
${canMove ? movingConfig(folder) : ""}`;
}

const movingConfig = (folder: string): string => `
# Who was moved lives where the directory says, whatever stands above.
directory: { store: ${JSON.stringify(`sqlite:${folder}/directory.db`)} }
moves:
  folder: ${JSON.stringify(`${folder}/moves`)}
  verify: { enabled: false } # compares mailboxes over IMAP, which these stores do not speak
  presets:
    copy:
      type: command
      # Makes the user's Maildir in the new store equal to the one in the old store.
      final_sync:
        - sh
        - -euc
        - |
          case $3 in .* | */*) exit 65 ;; esac
          from=$1/$3/Maildir
          to=$2/$3/Maildir
          rm -rf "$to"
          mkdir -p "$to/tmp"
          for part in new cur; do
            mkdir "$to/$part"
            [ ! -d "$from/$part" ] || cp -R -p "$from/$part/." "$to/$part"
          done
        - copy
        - ${JSON.stringify(`${folder}/{from.name}`)}
        - ${JSON.stringify(`${folder}/{to.name}`)}
        - "{user}"
`;
