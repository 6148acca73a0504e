import { DIRECTORY } from "./types/directory-table.ts";
import { DNS } from "./dns/dns-table.ts";
import { FILE } from "./file/file-table.ts";
import { FIRST } from "./types/first-table.ts";
import { LDAP } from "./ldap/ldap-table.ts";
import { PIPE } from "./types/pipe-table.ts";
import { REDIS } from "./redis/redis-table.ts";
import { REGEXP } from "./types/regexp-table.ts";
import { ROUTING } from "./types/routing-table.ts";
import { SOCKETMAP } from "./socketmap/socketmap-table.ts";
import { SQL } from "./sql/sql-table.ts";
import { STATIC } from "./types/static-table.ts";
import { UNION } from "./types/union-table.ts";
import { URL_TABLE } from "./url/url-table.ts";
import type { TableType } from "./table-type.ts";

/** The one list of table types, by the word in `type:`. */
export const TABLE_TYPES: ReadonlyMap<string, TableType> = new Map([
  ["static", STATIC],
  ["file", FILE],
  ["regexp", REGEXP],
  ["url", URL_TABLE],
  ["first", FIRST],
  ["union", UNION],
  ["pipe", PIPE],
  ["socketmap", SOCKETMAP],
  ["dns", DNS],
  ["sql", SQL],
  ["redis", REDIS],
  ["ldap", LDAP],
  ["routing", ROUTING],
  ["directory", DIRECTORY],
]);
