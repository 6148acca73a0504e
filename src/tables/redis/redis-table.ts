import { certificateFile } from "../../core/certificate-file.ts";
import { optional, required, withDefault } from "../../core/option-schema.ts";
import { count, flag, remoteAddress, scalar, text } from "../../core/option-values.ts";
import { secretText } from "../../core/read-secret.ts";
import { parseKeyTemplate } from "./key-template.ts";
import { openRedisSource } from "./source.ts";
import type { RedisOptions } from "./source.ts";
import { defineType } from "../table-type.ts";

/** Answers `GET`, or `HGET` of one hash. */
export const REDIS = defineType({
  description: "Redis or a server that speaks like it: keys with strings, or the fields of one hash.",
  kind: "remote",
  entries: {
    address: required(remoteAddress(), {
      description: "`host:port` or `unix:/path` of the server.",
      example: '"127.0.0.1:6379"',
    }),
    user: optional(text(), { description: "Its user, where it has several (Redis 6).", example: "mailshunt" }),
    password: optional(secretText(), {
      description: "The text itself, `{ file: /path }` or `{ env: NAME }`, read when the configuration is loaded.",
      example: "{ file: /etc/mailshunt/redis.password }",
    }),
    tls: withDefault(flag(), "false", {
      description: "Encrypts, and wants a certificate of the server's name that can be trusted. Over TCP only.",
    }),
    ca_file: optional(certificateFile(), {
      description: "PEM file of certificates to trust in place of the system's.",
      example: "/etc/mailshunt/ca.pem",
    }),
    database: withDefault(count(0, 1_000_000), "0", { description: "The number of its database." }),
    redis_key: withDefault(scalar("text with `{}`", parseKeyTemplate), "{}", {
      description: "What the table's key is called in Redis, or in the hash: `{}` is the key.",
      example: '"mail:{}"',
      defaultText: '"{}"',
    }),
    hash: optional(text(), {
      description: "A hash that has all entries as its fields. Without it each is a key of its own.",
      example: "mailboxes",
    }),
  },
  faultOf: ({ address, user, password, tls, ca_file }): string | undefined => {
    if (user !== undefined && password === undefined) return '"user" needs a "password"';
    if (tls && address.kind === "unix") return '"tls" is for TCP: a unix socket does not leave the machine';
    return ca_file !== undefined && !tls ? '"ca_file" means nothing without "tls: true"' : undefined;
  },
  toOptions: ({ address, user, password, tls, ca_file: ca, database, redis_key: template, hash }): RedisOptions => ({
    server: { address, user, password, tls: tls ? { ca } : undefined, database },
    template,
    hash,
  }),
  open: openRedisSource,
});
