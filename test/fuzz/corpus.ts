import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";

/** Mutations are tried until one of both is used up. */
const MAX_RUNS = 50_000;
const MAX_MS = 3_000;

interface Mutation {
  readonly kind: "insert" | "remove" | "repeat" | "flip" | "splice" | "cut";
  readonly at: number;
  readonly count: number;
  readonly bytes: Buffer;
}

/**
 * Two tests: every file of a protocol's corpus, then mutations of them, each in random chunks.
 * @param tokens what the protocol's syntax is made of: put in anywhere
 * @param check throws where a decoder does wrong about an input, cut at `chunkBytes` in turn
 */
export function fuzz(
  protocol: string,
  tokens: readonly string[],
  check: (input: Buffer, chunkBytes: readonly number[]) => void,
): void {
  const folder = new URL(`corpus/${protocol}/`, import.meta.url);
  const files = readdirSync(folder)
    .toSorted()
    .map((name) => ({ name, bytes: readFileSync(new URL(name, folder)) }));
  const bytesOf = files.map(({ bytes }) => bytes);

  test(`${protocol}: what is in the corpus`, () => {
    assert.ok(files.length > 0);
    for (const { name, bytes } of files)
      for (const chunkBytes of [1, 2, 3, 7])
        assert.doesNotThrow(() => check(bytes, [chunkBytes]), `${name}, ${chunkBytes} at a time`);
  });

  test(`${protocol}: mutations of the corpus`, () => {
    const chunkBytes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(inputs(bytesOf, tokens), chunkBytes, (input, cuts) => check(input, cuts)),
      { numRuns: MAX_RUNS, plugins: [fc.interruptAfterTimeLimit(MAX_MS)] },
    );
  });
}

/** Cuts as `chunkBytes` says, again and again until the input ends. Each chunk is wiped once `take` has seen it. */
export function inChunks(input: Buffer, chunkBytes: readonly number[], take: (chunk: Buffer) => void): void {
  let at = 0;
  for (let turn = 0; at < input.length; turn += 1) {
    const end = at + (chunkBytes[turn % chunkBytes.length] ?? 1);
    const chunk = Buffer.from(input.subarray(at, end));
    take(chunk);
    chunk.fill("#");
    at = end;
  }
}

function inputs(corpus: readonly Buffer[], tokens: readonly string[]): fc.Arbitrary<Buffer> {
  const token = fc.constantFrom(...tokens).map((text) => Buffer.from(text, "latin1"));
  const noise = fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes));
  const mutation = fc.record({
    kind: fc.constantFrom<Mutation["kind"]>("insert", "insert", "remove", "repeat", "flip", "splice", "cut"),
    at: fc.nat(),
    count: fc.integer({ min: 1, max: 12 }),
    bytes: fc.oneof(token, token, noise, fc.constantFrom(...corpus)),
  });
  return fc
    .tuple(fc.constantFrom(...corpus), fc.array(mutation, { maxLength: 6 }))
    .map(([bytes, mutations]) => mutations.reduce(mutate, bytes));
}

function mutate(input: Buffer, { kind, at: anywhere, count, bytes }: Mutation): Buffer {
  const at = anywhere % (input.length + 1);
  const head = input.subarray(0, at);
  const tail = input.subarray(at);
  switch (kind) {
    case "insert":
      return Buffer.concat([head, bytes, tail]);
    case "remove":
      return Buffer.concat([head, tail.subarray(count)]);
    case "repeat":
      return Buffer.concat([head, ...Array.from({ length: count }, () => tail.subarray(0, count)), tail]);
    case "flip":
      return Buffer.concat([head, tail.subarray(0, 1).map((byte) => byte ^ (1 << (count % 8))), tail.subarray(1)]);
    case "splice":
      return Buffer.concat([head, bytes.subarray(anywhere % (bytes.length + 1))]);
    case "cut":
      return head;
  }
}
