import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { REDIS } from "./redis-table.ts";

const address = "127.0.0.1:6379";

for (const options of [
  { address },
  { address: "unix:/run/redis/redis.sock", database: "3" },
  { address, tls: "true", user: "reader", password: "secret", redis_key: "mail:{}", hash: "boxes" },
])
  test(`right: ${JSON.stringify(options)}`, () => {
    assert.deepEqual(faultsOf(REDIS, options), []);
  });

const faults: readonly [options: RawOptions, message: string][] = [
  [{}, '"address" is missing'],
  [{ address: "localhost" }, 'address: expected "unix:/path", "host:port" or "[v6]:port", got "localhost"'],
  [{ address, redis_key: "mail:" }, 'redis_key: "{}" must stand where the key belongs, such as in "mail:{}"'],
  [{ address, redis_key: "{}{}" }, 'redis_key: "{}" must stand in it once'],
  [{ address, database: "-1" }, 'database: expected a whole number from 0 to 1000000, got "-1"'],
  [{ address, user: "reader" }, '"user" needs a "password"'],
  [{ address: "unix:/x", tls: "true" }, '"tls" is for TCP: a unix socket does not leave the machine'],
];
for (const [options, message] of faults)
  test(`not right: ${message}`, () => {
    assert.deepEqual(faultsOf(REDIS, options), [message]);
  });
