/** What each release of Dovecot sends, byte by byte, and what it must be answered. Source: reference of the dict protocol. */
import { memoryTable } from "./memory-table.ts";
import { DICT } from "./served.ts";
import type { ServedOptions } from "./served.ts";
import { testDialog } from "./dialog.ts";
import type { Dialog } from "./dialog.ts";

const USER = "user1@example.com";

const serve = (): ServedOptions => ({
  listener: DICT,
  tables: [
    memoryTable(
      "meta",
      {
        a: "val 1",
        count: "7",
        many: ["one", "two\tx"],
        "p/user1@example.com": "mine",
        "p/user2@example.com": "not mine",
        "userdb/a": "1",
        "userdb/c/d": "3",
        "userdb/b": "2",
      },
      { failing: new Map([["down", "no answer within 5000 ms"]]) },
    ),
  ],
});

const dialogs: readonly Dialog[] = [
  {
    name: "2.2.36: the handshake names the user, commands do not",
    steps: [
      { C: `H2\t2\t0\t${USER}\tmeta\nLpriv/p\n` },
      { S: "Omine\n" },
      { C: "Lshared/a\n" },
      { S: "Oval 1\n" },
      { C: "Lshared/none\n" },
      { S: "N\n" },
      { C: "Lshared/down\n" },
      { S: "Fno answer within 5000 ms\n" },
    ],
  },
  {
    name: "2.2.36: several values",
    steps: [{ C: `H2\t2\t0\t\tmeta\nLshared/many\n` }, { S: "Mone\x01ttwo\x011tx\n" }],
  },
  {
    name: "2.2.30: a client that does not know M",
    steps: [{ C: `H2\t1\t0\t\tmeta\nLshared/many\n` }, { S: "Oone,two\x01tx\n" }],
  },
  {
    name: "2.2.13: an iteration without a limit",
    steps: [{ C: `H2\t0\t0\t\tmeta\nI0\tshared/userdb/\n` }, { S: "Oshared/userdb/a\t1\nOshared/userdb/b\t2\n\n" }],
  },
  {
    name: "2.2.36: an iteration of several paths",
    steps: [
      { C: `H2\t2\t0\t${USER}\tmeta\nI1\t0\tshared/userdb/c/\tpriv/\n` },
      { S: "Oshared/userdb/c/d\t3\nOpriv/p\tmine\n\n" },
    ],
  },
  {
    name: "2.2.36: a transaction with a time stamp",
    steps: [
      { C: `H2\t2\t0\t${USER}\tmeta\nB1\nT1\t1700000000\t5\nS1\tpriv/p\tnew\nU1\tshared/a\nC1\n` },
      { S: "O1\n" },
      { C: "Lpriv/p\nLshared/a\n" },
      { S: "Onew\nN\n" },
    ],
  },
  {
    name: "2.2.36: the quota dict, which looks, misses, and counts anew",
    steps: [
      { C: `H2\t2\t0\t${USER}\tmeta\nLpriv/quota/storage\n` },
      { S: "N\n" },
      { C: "B1\nA1\tpriv/quota/storage\t100\nC1\n" },
      { S: "N1\n" },
      { C: "B2\nU2\tpriv/quota/storage\nS2\tpriv/quota/storage\t100\nC2\n" },
      { S: "O2\n" },
      { C: "B3\nA3\tpriv/quota/storage\t-40\nC3\nLpriv/quota/storage\n" },
      { S: "O3\nO60\n" },
    ],
  },
  {
    name: "2.2.36: append, which no release sends, is refused and nothing of its transaction done",
    steps: [
      { C: "H2\t2\t0\t\tmeta\nB1\nS1\tshared/a\tnew\nP1\tshared/a\tmore\nC1\nLshared/a\n" },
      { S: "F1\tappend is not supported\nOval 1\n" },
    ],
  },
  {
    name: "2.3.16: numbers as the type of values change nothing",
    steps: [{ C: "H2\t2\t1\t\tmeta\nLshared/count\n" }, { S: "O7\n" }],
  },
  {
    name: "2.3.16: a commit that is not waited for",
    steps: [
      { C: `H2\t2\t0\t${USER}\tmeta\nB1\nS1\tshared/a\tnew\nD1\n` },
      { S: "AO1\n" },
      { C: "B2\nA2\tshared/none\t1\nD2\n" },
      { S: "AN2\n" },
      { C: "B3\nS3\tshared/down\tx\nD3\n" },
      { S: "AF3\tno answer within 5000 ms\n" },
      { C: "Lshared/a\n" },
      { S: "Onew\n" },
    ],
  },
  {
    name: "2.3.19: what doveadm was seen to send",
    steps: [
      { C: "H3\t2\t0\t\tmeta\nLshared/a\t\n" },
      { S: "Oval 1\n" },
      { C: `Lpriv/p\t${USER}\n` },
      { S: "Omine\n" },
      { C: "I0\t0\tshared/\t\n" },
      { S: "Oshared/a\tval 1\nOshared/count\t7\nOshared/many\tone,two\x01tx\n\n" },
      { C: "B1\t\nS1\tshared/a\tval 2\nC1\n" },
      { S: "O1\n" },
      { C: "B2\tbob\nS2\tpriv/z\ta\x01tb\nC2\nLpriv/z\tbob\n" },
      { S: "O2\nOa\x01tb\n" },
    ],
  },
  {
    name: "2.3.19: passdb, userdb and the list of users, as auth asks",
    steps: [
      { C: `H3\t2\t0\t\tmeta\nLshared/passdb/${USER}\t${USER}\n` },
      { S: "N\n" },
      { C: `Lshared/userdb/a\ta\n` },
      { S: "O1\n" },
      { C: "I0\t0\tshared/userdb/\t*\n" },
      { S: "Oshared/userdb/a\t1\nOshared/userdb/b\t2\n\n" },
    ],
  },
  {
    name: "2.3.20: values that are not for logs",
    steps: [{ C: "H3\t2\t0\t\tmeta\nB1\t\nV1\tyes\nS1\tshared/a\tx\nC1\nLshared/a\t\n" }, { S: "O1\nOx\n" }],
  },
  {
    name: "2.3.19: METADATA asks for the private and the shared ones over one connection",
    steps: [
      { C: `H3\t2\t0\t\tmeta\nI9\t0\tpriv/\t${USER}\nI9\t0\tshared/userdb/\t${USER}\n` },
      { S: "Opriv/p\t\n\nOshared/userdb/a\t\nOshared/userdb/c/d\t\nOshared/userdb/b\t\n\n" },
    ],
  },
  {
    name: "2.4: the handshake, and a whole transaction with an expiry in one write",
    steps: [
      { C: `H4\t0\t0\t\tmeta\nB1\t${USER}\t3600\nS1\tpriv/quota/storage\t5\nC1\nLpriv/quota/storage\t${USER}\n` },
      { S: "O1\nO5\n" },
    ],
  },
  { name: "2.4: several values", steps: [{ C: "H4\t0\t0\t\tmeta\nLshared/many\t\n" }, { S: "Mone\x01ttwo\x011tx\n" }] },
  {
    name: "2.4: transactions side by side, one of them rolled back",
    steps: [
      { C: `H4\t0\t0\t\tmeta\nB1\t\t0\nB2\t\t0\nS1\tshared/a\tfirst\nS2\tshared/a\tsecond\nR1\nC2\nLshared/a\t\n` },
      { S: "O2\nOsecond\n" },
    ],
  },
  {
    name: "2.4: fields that a later release may add",
    steps: [
      { C: "H4\t7\t0\t\tmeta\tnew\nLshared/a\t\tnew\tnewer\nI0\t1\tshared/userdb/\t\tnew\nB1\t\t0\tnew\nC1\tnew\n" },
      { S: "Oval 1\nOshared/userdb/a\t1\n\nO1\n" },
    ],
  },
];
for (const dialog of dialogs) testDialog(dialog, serve);
