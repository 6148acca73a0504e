/**
 * The least that Node.js can do: a Map behind a socket that speaks socketmap to those who send one request at a time.
 *
 *   node map-server.ts SOCKET ENTRIES
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const [, , socketPath = "", entriesPath = ""] = process.argv;
const lines = readFileSync(entriesPath, "latin1").split("\n");
const values = new Map(
  lines.filter((line) => line.includes("\t")).map((line) => line.split("\t", 2) as [string, string]),
);

createServer((socket) => {
  socket.on("data", (chunk) => {
    const request = chunk.toString("latin1");
    const value = values.get(request.slice(request.indexOf(" ") + 1, -1));
    const reply = value === undefined ? "NOTFOUND " : `OK ${value}`;
    socket.write(`${reply.length}:${reply},`, "latin1");
  });
}).listen(socketPath);
