import type { Answer, Table } from "./table.ts";

/** Who asks a table several times for one answer, such as for each row of a list: its source stays open meanwhile. */
export class Uses {
  #count = 0;
  #onNone: (() => void) | undefined;

  /** The same table, each of its lookups and lists counted as one use from beginning to end. */
  count(table: Table): Table {
    const { lookup, list } = table;
    return {
      ...table,
      lookup: (key) => {
        const answer = lookup(key);
        return answer instanceof Promise ? this.#countLookup(answer) : answer;
      },
      list: list && ((prefix) => this.#countList(list(prefix))),
    };
  }

  /** Resolves when nobody is at it any more. To be called once, when nobody can begin. */
  whenNone(): Promise<void> {
    return new Promise((resolve) => {
      this.#onNone = resolve;
      this.#tellNone();
    });
  }

  async #countLookup(answer: Promise<Answer>): Promise<Answer> {
    this.#count += 1;
    try {
      return await answer;
    } finally {
      this.#end();
    }
  }

  async *#countList<Page>(pages: AsyncIterable<Page>): AsyncGenerator<Page> {
    this.#count += 1;
    try {
      yield* pages;
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#count -= 1;
    this.#tellNone();
  }

  #tellNone(): void {
    if (this.#count === 0) this.#onNone?.();
  }
}
