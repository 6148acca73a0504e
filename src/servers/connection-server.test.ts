import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { Quota, QuotaUser } from "../core/quota.ts";
import { ConnectionServer } from "./connection-server.ts";

test("as many as there may be wait until another process leaves them its places, and no more", () => {
  let user: QuotaUser | undefined;
  let limit = 0;
  const quota: Quota = {
    get limit() {
      return limit;
    },
    isOwing: false,
    want: () => undefined,
    settle: () => undefined,
  };
  let served = 0;
  const server = new ConnectionServer({
    limits: {
      address: { kind: "unix", path: "/x" },
      maxConnections: 1_000,
      maxConnectionsPerAddress: 1_000,
    },
    quotas: {
      of(_key, _max, given) {
        user = given;
        return quota;
      },
    },
    refusal: "421 no room\r\n",
    part: "lmtp",
    log: { write: () => undefined },
    connect() {
      served += 1;
      return { stop: () => undefined, destroy: () => undefined };
    },
  });
  const sockets = Array.from({ length: 1_001 }, () => new PassThrough());
  for (const socket of sockets) server.accept(socket as unknown as Socket);
  limit = 1_000;
  user?.onGrown();
  assert.equal(served, 1_000);
  assert.equal(sockets.filter(({ writableEnded }) => writableEnded).length, 1);
});
