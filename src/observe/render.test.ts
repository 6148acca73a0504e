import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryRecord, LogEntry, LogLevel } from "../core/log.ts";
import { delay } from "./delivery-line.ts";
import { createRenderer, errorText, isLogged } from "./render.ts";
import type { RenderOptions } from "./render.ts";

const options: RenderOptions = { format: "text", audience: "plain", program: "mailshunt", host: "mx1", pid: 4711 };
// Local time, as syslogd writes it: made from local parts, so the test holds in every zone.
const WALL_MS = new Date(2026, 10, 2, 5, 4, 9, 120).getTime();

const delivery: DeliveryRecord = {
  kind: "delivery",
  session: "s1.2",
  recipient: "user1@example.com",
  sender: "boss@example.org",
  backend: "old",
  relay: "localhost[127.0.0.1]:24",
  backendSession: "B7",
  ident: "22EAB23C2FC",
  connectionUse: 1,
  delayMs: 71.4,
  delaysMs: [0, 12, 3.2, 1249],
  dsn: "2.1.5",
  status: "sent",
  text: "250 2.1.5 one ok",
};

function line(entry: LogEntry, changed: Partial<RenderOptions> = {}): string {
  return createRenderer({ ...options, ...changed })(entry, WALL_MS);
}

test("a delivery is Postfix's line, ours after it", () =>
  assert.equal(
    line(delivery),
    "Nov  2 05:04:09 mx1 mailshunt/lmtp[4711]: s1.2: to=<user1@example.com>, relay=localhost[127.0.0.1]:24, " +
      "delay=0.07, delays=0/0.01/0/1.2, dsn=2.1.5, status=sent (250 2.1.5 one ok); " +
      "from=<boss@example.org> ident=22EAB23C2FC backend=old backend_session=B7\n",
  ));

test("conn_use from the second on; no ident, no backend session; null sender; the part is not in lmtp-proxy's tag", () => {
  const { ident: _ident, backendSession: _session, ...bare } = delivery;
  assert.equal(
    line({ ...bare, sender: "", connectionUse: 3, relay: "none", backend: "none" }, { program: "lmtp-proxy" }),
    "Nov  2 05:04:09 mx1 lmtp-proxy[4711]: s1.2: to=<user1@example.com>, relay=none, conn_use=3, " +
      "delay=0.07, delays=0/0.01/0/1.2, dsn=2.1.5, status=sent (250 2.1.5 one ok); from=<> backend=none\n",
  );
});

// What parsers of Postfix's log ask of a line: the fields side by side (pflogsumm), `to=` right behind the id (logwatch).
const SIDE_BY_SIDE =
  /to=<([^>]*)>, relay=([^,]+), (?:conn_use=\d+, )?delay=([^,]+), (?:delays=[^,]+, )?(?:dsn=[^,]+, )?status=(\S+)/;
const ANCHORED = /\]: (\S+): to=<([^>]*)>, relay=([^,]*).*, delay=([^,]+), .*status=(.*)$/;

test("parsers of Postfix's log read it", () => {
  const text = line({ ...delivery, connectionUse: 2 }).trimEnd();
  assert.deepEqual(SIDE_BY_SIDE.exec(text)?.slice(1, 5), [
    "user1@example.com",
    "localhost[127.0.0.1]:24",
    "0.07",
    "sent",
  ]);
  assert.deepEqual(ANCHORED.exec(text)?.slice(1, 5), ["s1.2", "user1@example.com", "localhost[127.0.0.1]:24", "0.07"]);
});

test("nothing a peer says makes a second line or a second field", () => {
  const forged = line({
    ...delivery,
    recipient: '"x>, status=sent (250 ok)\r\n"@a',
    sender: '"y> backend=evil"@b',
    ident: "Q 1> backend=evil",
    text: "250 ok\r\nNov  2 05:04:09 mx1 mailshunt/lmtp[1]: forged",
  });
  assert.equal(
    forged,
    'Nov  2 05:04:09 mx1 mailshunt/lmtp[4711]: s1.2: to=<"x?, status=sent (250 ok)??"@a>, relay=localhost[127.0.0.1]:24, ' +
      "delay=0.07, delays=0/0.01/0/1.2, dsn=2.1.5, status=sent (250 ok??Nov  2 05:04:09 mx1 mailshunt/lmtp[1]: forged); " +
      'from=<"y? backend=evil"@b> ident=Q?1??backend=evil backend=old backend_session=B7\n',
  );
});

const levels: readonly { level: LogLevel; plain: string; journal: string; syslog: string }[] = [
  { level: "error", plain: "error: text", journal: "<3>s9: error: text\n", syslog: "<19>s9: error: text\n" },
  { level: "warning", plain: "warning: text", journal: "<4>s9: warning: text\n", syslog: "<20>s9: warning: text\n" },
  { level: "notice", plain: "text", journal: "<5>s9: text\n", syslog: "<21>s9: text\n" },
  { level: "info", plain: "text", journal: "<6>s9: text\n", syslog: "<22>s9: text\n" },
  { level: "debug", plain: "text", journal: "<7>s9: text\n", syslog: "<23>s9: text\n" },
];

for (const { level, plain, journal, syslog } of levels)
  test(`a message at ${level}`, () => {
    const entry: LogEntry = { kind: "message", level, part: "backend", session: "s9", text: "text" };
    assert.equal(line(entry), `Nov  2 05:04:09 mx1 mailshunt/backend[4711]: s9: ${plain}\n`);
    assert.equal(line(entry, { audience: "journal" }), journal);
    assert.equal(line(entry, { audience: "syslog" }), syslog);
  });

test("the threshold lets through its own level and worse; an uncertain delivery is a warning, others info", () => {
  const at = (level: LogLevel): LogEntry => ({ kind: "message", level, part: "daemon", text: "" });
  assert.deepEqual(
    (["error", "warning", "notice", "info", "debug"] as const).map((level) => isLogged(at(level), "notice")),
    [true, true, true, false, false],
  );
  assert.equal(isLogged(delivery, "notice"), false);
  assert.equal(isLogged({ ...delivery, status: "uncertain" }, "notice"), true);
});

test("JSON has one object a line and stable names", () => {
  const time = new Date(WALL_MS).toISOString();
  assert.equal(
    line(delivery, { format: "json" }),
    `{"time":"${time}","host":"mx1","program":"mailshunt","pid":4711,"level":"info","event":"delivery","part":"lmtp",` +
      '"session":"s1.2","to":"user1@example.com","from":"boss@example.org","ident":"22EAB23C2FC","backend":"old",' +
      '"backend_session":"B7","relay":"localhost[127.0.0.1]:24","conn_use":1,"delay":0.0714,' +
      '"delays":[0,0.012,0.0032,1.249],"dsn":"2.1.5","status":"sent","text":"250 2.1.5 one ok"}\n',
  );
  assert.equal(
    line({ kind: "message", level: "notice", part: "daemon", text: "a\nb" }, { format: "json", audience: "syslog" }),
    `<21>{"time":"${time}","host":"mx1","program":"mailshunt","pid":4711,"level":"notice","event":"message",` +
      String.raw`"part":"daemon","text":"a\nb"}` +
      "\n",
  );
});

test("the stamp follows the second", () => {
  const render = createRenderer(options);
  const entry: LogEntry = { kind: "message", level: "info", part: "lmtp", text: "x" };
  const seconds = [0, 879, 880, 60_000].map((ms) => render(entry, WALL_MS + ms).slice(0, 15));
  assert.deepEqual(seconds, ["Nov  2 05:04:09", "Nov  2 05:04:09", "Nov  2 05:04:10", "Nov  2 05:05:09"]);
});

// Seen in Postfix's own logs, and at the edges of its format_tv(3).
const delays: readonly (readonly [number, string])[] = [
  [0, "0"],
  [4.9, "0"],
  [5, "0.01"],
  [42, "0.04"],
  [100, "0.1"],
  [350, "0.35"],
  [994, "0.99"],
  [996, "1"],
  [1234, "1.2"],
  [9_949, "9.9"],
  [9_960, "10"],
  [35_400, "35"],
  [86_401_000, "86401"],
  [-3, "0"],
];
for (const [milliseconds, want] of delays)
  test(`${milliseconds} ms is a delay of ${want}`, () => assert.equal(delay(milliseconds), want));

test("an error is one line with its stack", () => {
  const error = new Error("broken");
  error.stack = "Error: broken\n    at a (x.ts:1:2)\n    at b (y.ts:3:4)";
  assert.equal(errorText(error), "Error: broken | at a (x.ts:1:2) | at b (y.ts:3:4)");
  assert.equal(errorText("thrown text"), "'thrown text'");
});
