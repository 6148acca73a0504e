import assert from "node:assert/strict";
import { once } from "node:events";
import { statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { runMailshunt, startMailshunt } from "../support/daemon-process.ts";
import { startHttpService } from "../support/http-service.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const table = (url: string): string[] => ["--name", "t", "--type", "url", "--param", `${url}/§`];

/** One request by socketmap. */
async function ask(socketPath: string, key: string): Promise<string> {
  const socket = connect(socketPath);
  socket.end(`${key.length + 2}:t ${key},`);
  let reply = "";
  socket.setEncoding("utf8").on("data", (text: string) => (reply += text));
  await once(socket, "close");
  return reply;
}

test("podop's socket: a relative path, one left over by a killed one is replaced, a served one is not", async (t) => {
  const cwd = scratchFolder(t);
  const service = await startHttpService({ "/a": "yes", "/b": [1, null] });
  t.after(() => service.stop());
  const words = ["podop", "--socket", "s", "--mode", "postfix", ...table(service.url)];
  const killed = startMailshunt(t, words, { cwd });
  await killed.nextLine(/ready/);
  assert.equal(await ask(join(cwd, "s"), "a"), "6:OK yes,");

  const second = await runMailshunt(t, words, { cwd });
  assert.equal(second.code, 71);
  assert.match(second.stderr, /cannot listen on unix:.*\/s: another process serves this socket/);

  killed.signal("SIGKILL");
  await killed.exited;
  const next = startMailshunt(t, words, { cwd });
  await next.nextLine(/ready/);
  assert.equal(await ask(join(cwd, "s"), "b"), "11:OK [1,null],");
  next.signal("SIGTERM");
  assert.equal((await next.exited).code, 0);
  assert.throws(() => statSync(join(cwd, "s")), { code: "ENOENT" });
});

test("podop says each lookup with -v -v, never its value, and goes on at a reload", async (t) => {
  const cwd = scratchFolder(t);
  const service = await startHttpService({ "/a": "secret" });
  t.after(() => service.stop());
  const words = ["podop", "--socket", "s", "--mode", "postfix", ...table(service.url), "-vv"];
  const podop = startMailshunt(t, words, { cwd });
  await podop.nextLine(/ready/);
  await ask(join(cwd, "s"), "a");
  await podop.nextLine(/socketmap t "a": found/);
  for (const signal of ["SIGHUP", "SIGUSR1"] as const) {
    podop.signal(signal);
    await podop.nextLine(/the command line is reloaded/);
  }
  await ask(join(cwd, "s"), "b");
  await podop.nextLine(/socketmap t "b": absent/);
  assert.doesNotMatch(podop.output(), /secret/);
});

test(
  "podop warns root that Postfix could not connect",
  { skip: process.geteuid?.() !== 0 && "only root can try" },
  async (t) => {
    const cwd = scratchFolder(t);
    const words = ["podop", "--socket", "s", "--mode", "postfix", ...table("http://127.0.0.1:1")];
    const podop = startMailshunt(t, words, { cwd });
    await podop.nextLine(/ready/);
    assert.match(podop.output(), /^podop: warning: s will belong to root, .*: start podop as the user postfix\n/);
  },
);

const faults = [
  { words: ["--mode", "postfix"], says: /required option '--socket <path>' not specified/ },
  { words: ["--socket", "s"], says: /required option '--mode <mode>' not specified/ },
  { words: ["--socket", "s", "--mode", "exim"], says: /Allowed choices are postfix, dovecot/ },
  { words: ["--socket", "s", "--mode", "postfix", "--name", "a"], says: /there are 1, 0 and 0/ },
  {
    words: ["--socket", "s", "--mode", "postfix", "--name", "a", "--type", "x", "--param", "y"],
    says: /table a: there is no table type "x": known are .*url/,
  },
  {
    words: ["--socket", "s", "--mode", "postfix", "--name", "a", "--type", "url", "--param", "http://h/"],
    says: /table a: .*\{\} or § stands for the key and is missing/,
  },
];
for (const { words, says } of faults)
  test(`podop ${words.join(" ")}`, async (t) => {
    const { code, stderr } = await runMailshunt(t, ["podop", ...words], { cwd: scratchFolder(t) });
    assert.equal(code, 64);
    assert.match(stderr, says);
  });
