import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { compile } from "../../bench/generator/compile.ts";
import type { Peer } from "../../bench/mail/peers/peer.ts";
import { runRound } from "../../bench/mail/round.ts";
import { startSink, type Sink } from "../../bench/mail/sinks.ts";
import { runLmtpLoad, runSmtpSource } from "../../bench/mail/sources.ts";
import { readTree } from "../../bench/process-tree.ts";
import { awaitListening, endAll, endPrograms, findPort, start } from "../../bench/processes.ts";
import { startHttpService, startMapServer } from "../../bench/tables/servers.ts";
import { askServer, prepare } from "../../bench/tables/tables.ts";
import { ensurePackages } from "../support/debian-packages.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";

const isLinux = process.platform === "linux";
/** smtp-sink does not run as root. */
const asNobody = process.geteuid?.() === 0 ? ["-u", "nobody"] : [];
const packages = await ensurePackages(["gcc", "libc6-dev", "postfix"]);
const skip = packages.kind === "missing" ? `${packages.packages.join(" ")} missing: ${packages.reason}` : false;

for (const name of ["smtp-sink", "lmtp-sink"] as const)
  describe(`a round of the benchmark, ${name}`, { skip }, () => {
    let sink: Sink;
    let folder = "";
    const traffic = { sessions: 2, messageBytes: 1_000, recipients: 1, keepsConnection: true };
    const send =
      (messages: number, recipients = 1) =>
      (port: number) =>
        runSmtpSource({ ...traffic, recipients }, messages, port);
    const direct = (): Pick<Peer, "port" | "program"> => ({ port: sink.ports[0] ?? 0, program: undefined });
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "bench-test-"));
      sink = await startSink(name, folder, 1);
    });
    after(async () => {
      await endAll();
      rmSync(folder, { recursive: true });
    });

    test("counts what arrived", async () => {
      const round = await runRound(direct(), sink, send(20));
      assert.equal(round.kind, "done");
      assert.equal(await sink.countRecipients(), 20);
    });

    test("fails when a message did not arrive for one", async () => {
      const lossy: Sink = { ...sink, countRecipients: async () => Math.min(await sink.countRecipients(), 39) };
      assert.deepEqual(await runRound(direct(), lossy, send(20)), {
        kind: "failed",
        reason: "19 of 20 recipients arrived",
      });
    });

    test("fails when nobody listens", async () => {
      const round = await runRound({ port: 1, program: undefined }, sink, send(20));
      assert.equal(round.kind, "failed");
    });
  });

describe("our generator and sink", { skip }, () => {
  after(endAll);

  for (const isPipelined of [false, true])
    for (const keepsConnection of [false, true])
      test(`count the same, pipelined: ${isPipelined}, reused: ${keepsConnection}`, async (t) => {
        const folder = scratchFolder(t);
        const sink = await startSink("lmtp-sink", folder, 2);
        const traffic = { sessions: 3, messageBytes: 100_000, recipients: 5, users: 7, seconds: 0.05 };
        const sent = await runLmtpLoad(
          compile("lmtp-load", folder),
          { ...traffic, isPipelined, keepsConnection },
          sink.ports[1] ?? 0,
        );
        assert.ok(sent.messages >= 3 && (sent.p99Ms ?? 0) > 0);
        assert.equal(sent.recipients, sent.messages * 5);
        assert.equal(await sink.countRecipients(), sent.recipients);
      });

  test("fail when a recipient is refused", async (t) => {
    const folder = scratchFolder(t);
    const port = await findPort();
    const refusing = start("smtp-sink", ["-L", ...asNobody, "-f", "RCPT", `127.0.0.1:${port}`, "10"]);
    await awaitListening(refusing, port);
    const traffic = { sessions: 1, messageBytes: 10, recipients: 1, users: 1, seconds: 0.05, keepsConnection: true };
    await assert.rejects(
      runLmtpLoad(compile("lmtp-load", folder), { ...traffic, isPipelined: true }, port),
      /reply 500/,
    );
  });
});

test("a process tree has the CPU time of children, those that have ended too", { skip: !isLinux }, async () => {
  const burn = "while (process.cpuUsage().user < 300_000) ;";
  const script = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(burn)}]); console.log("burnt"); setTimeout(() => {}, 60_000);`;
  const program = start(process.execPath, ["-e", script]);
  try {
    await until("the child has ended", () => (program.output().includes("burnt") ? true : undefined));
    const { cpuMicros, residentBytes, peakBytes, descriptors } = readTree(program.child.pid ?? 0);
    assert.ok(cpuMicros > 250_000, `${cpuMicros}`);
    assert.ok(peakBytes >= residentBytes && residentBytes > 10_000_000);
    assert.ok(descriptors >= 3);
  } finally {
    await endPrograms([program]);
  }
});

describe("a turn of a table server", { skip }, () => {
  const SECONDS = 0.05;
  after(endAll);

  test("counts lookups and their times", async (t) => {
    const parts = prepare(scratchFolder(t));
    for (const server of [await startMapServer(parts), await startHttpService(parts)]) {
      const round = await askServer(parts, server, 3, SECONDS);
      assert.equal(round.kind, "done");
      assert.ok(round.lookupsPerSecond > 0 && round.p50Ms > 0 && round.p99Ms >= round.p50Ms);
    }
  });

  test("fails when an answer is wrong", async (t) => {
    const parts = prepare(scratchFolder(t));
    const server = await startMapServer(parts);
    writeFileSync(parts.entriesPath, "user0001@bench.example\tanother\n");
    const round = await askServer(parts, server, 1, SECONDS);
    assert.ok(round.kind === "failed" && round.reason.includes("a wrong answer"), JSON.stringify(round));
  });

  test("fails when nobody listens", async (t) => {
    const parts = prepare(scratchFolder(t));
    const nobody = { name: "nobody", protocol: "redis", address: "1", map: "", program: undefined } as const;
    assert.equal((await askServer(parts, nobody, 1, SECONDS)).kind, "failed");
  });
});
