import fc from "fast-check";
import type { Behaviour, FakeBackendOptions, Script, Stage } from "../support/fake-backend.ts";

/** What one store does wrong, and when: at the `nth` time that a stage comes, or every time. */
export interface StoreFault {
  readonly stage: Stage;
  readonly nth: number | "always";
  readonly behaviour: Behaviour;
}

export interface StorePlan {
  readonly isPipelining: boolean;
  readonly replyChunkBytes: number | undefined;
  readonly faults: readonly StoreFault[];
}

/** The store's word on sender, recipient or message: what a client may hear as a 5xx. */
const VERDICTS = ["550 5.1.1 no", "552-5.2.2 full\n552 5.2.2 really", "554 oh no"];
const DELAYS = ["450 4.2.1 busy", "452 4.3.1 disk full", "421 4.3.2 going down"];
/** Refusals that speak of us, and replies that make no sense at most stages. */
const ODDITIES = [
  "500 5.5.2 what",
  "503 5.5.1 sequence",
  "530 5.7.0 login",
  "555 5.5.4 what",
  "354 go on",
  "250 2.0.0 OK",
];

const replies: fc.Arbitrary<Behaviour> = fc.constantFrom<Behaviour>(...VERDICTS, ...DELAYS, ...ODDITIES);

const breakage: fc.Arbitrary<Behaviour> = fc.constantFrom<Behaviour>(
  { do: "close" },
  { do: "reset" },
  { do: "stall" },
  { do: "close", bytes: "421 4.3.2 going down\r\n" },
  { do: "close", bytes: "25" },
  { do: "close", bytes: "250-2.0.0 half\r\n" },
  { do: "raw", bytes: "hello\r\n" },
  { do: "raw", bytes: "250-2.0.0 yes\r\n550 5.1.1 no\r\n" },
  { do: "raw", bytes: "\0\xff\r\n250 2.0.0 OK\r\n" },
  { do: "raw", bytes: "x".repeat(10_000) },
  [],
  ["250 2.0.0 OK", "250 2.0.0 once more"],
  ["250 2.0.0 OK", "550 5.1.1 once more"],
);

const whileReading: fc.Arbitrary<Behaviour> = fc
  .tuple(
    fc.constantFrom<Extract<Behaviour, { do: "close" | "reset" | "stall" | "reply" }>>(
      { do: "close" },
      { do: "reset" },
      { do: "stall" },
      { do: "reply", text: "421 4.3.2 going down" },
      { do: "reply", text: "552 5.3.4 too big" },
    ),
    fc.nat(200),
  )
  .map(([behaviour, afterBytes]) => ({ ...behaviour, afterBytes }));

const stage = fc.constantFrom<Stage>("greeting", "lhlo", "mail", "rcpt", "data", "body", "dot", "final", "rset");

const fault: fc.Arbitrary<StoreFault> = stage.chain((at) =>
  fc.record({
    stage: fc.constant(at),
    nth: fc.oneof(fc.nat(3), fc.constant("always" as const)),
    behaviour: at === "body" ? whileReading : fc.oneof(replies, breakage),
  }),
);

export const storePlan: fc.Arbitrary<StorePlan> = fc.record({
  isPipelining: fc.boolean(),
  replyChunkBytes: fc.constantFrom(undefined, undefined, 1, 5),
  faults: fc.array(fault, { maxLength: 2 }),
});

export function toFakeOptions(plan: StorePlan): FakeBackendOptions {
  const counts = new Map<Stage, number>();
  const script: Script = {};
  for (const { stage: at } of plan.faults)
    script[at] = () => {
      const count = counts.get(at) ?? 0;
      counts.set(at, count + 1);
      return plan.faults.find((each) => each.stage === at && (each.nth === "always" || each.nth === count))?.behaviour;
    };
  return {
    keywords: ["ENHANCEDSTATUSCODES", "8BITMIME", ...(plan.isPipelining ? ["PIPELINING"] : [])],
    script,
    ...(plan.replyChunkBytes === undefined ? {} : { replyChunkBytes: plan.replyChunkBytes }),
  };
}

/** Whether a 5xx for one of its recipients can be this store's own verdict. */
export function mayRefuse(plan: StorePlan): boolean {
  return plan.faults.some(({ stage: at, behaviour }) => {
    if (["greeting", "lhlo", "rset"].includes(at) && isInStep(plan)) return false;
    return VERDICTS.some((verdict) => JSON.stringify(behaviour).includes(verdict.slice(0, 3)));
  });
}

/**
 * Whether its replies answer the commands they seem to answer: one that sends a reply too many says something about
 * the next command that nobody can tell from the truth.
 */
export function isInStep({ faults }: StorePlan): boolean {
  return faults.every(({ stage: at, behaviour }) => {
    if (Array.isArray(behaviour)) return behaviour.length === 0;
    // In the body nothing is asked yet, and the final replies come as well.
    return at !== "body" || typeof behaviour !== "object" || !("do" in behaviour) || behaviour.do !== "reply";
  });
}
