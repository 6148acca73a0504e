import assert from "node:assert/strict";
import { test } from "node:test";
import { createWriter } from "./writer.ts";

/** Answers a write of "die" by its end, and any other with how many writes it has seen. */
const THREAD = `
  import { parentPort } from "node:worker_threads";
  let seen = 0;
  parentPort.on("message", (message) => {
    if (message.kind === "close") return parentPort.close();
    const { id, args: [how] } = message.request;
    seen += 1;
    if (how === "throw") throw new Error("out of order");
    if (how === "exit") process.exit();
    if (how !== "ignore") parentPort.postMessage([{ kind: "done", id, value: seen }]);
  });`;
const THREAD_FILE = new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`);

for (const how of ["throw", "exit"])
  test(`nobody knows what a thread has written that ends by ${how}, and the next write has a new one`, async () => {
    const writer = createWriter("/dir", THREAD_FILE);
    assert.equal(await writer.write("addEveryone", 1, ""), 1 as unknown);
    const unknown = { name: "DirectoryFailed", code: "DIRECTORY_OUTCOME_UNKNOWN", message: /was cut off/ };
    const cutOff = assert.rejects(writer.write("addEveryone", "ignore" as never, ""), unknown);
    await assert.rejects(writer.write("addEveryone", how as never, ""), unknown);
    await cutOff;
    assert.equal(await writer.write("addEveryone", 1, ""), 1 as unknown);
    await writer.close();
  });

test("closing waits for the thread's end, also where it had one", async () => {
  const writer = createWriter("/dir", THREAD_FILE);
  await assert.rejects(writer.write("addEveryone", "exit" as never, ""));
  await writer.close();
});
