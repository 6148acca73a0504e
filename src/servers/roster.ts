interface Seat<Member> {
  readonly member: Member;
  /** Its index among all. */
  at: number;
}

/**
 * Those who are here, in no order, where many come and go. A Set would do but for V8: each time it makes room it leaves its old
 * table behind, pointing to the new one, and one that has outlived two scavenges keeps alive all later ones, and many of those
 * who were in them, until the next full collection.
 */
export class Roster<Member> {
  readonly #seats: Seat<Member>[] = [];

  get size(): number {
    return this.#seats.length;
  }

  /** Those here now; who leaves or comes meanwhile changes nothing in it. */
  get all(): readonly Member[] {
    return this.#seats.map(({ member }) => member);
  }

  /** @returns to be called once, when it leaves */
  add(member: Member): () => void {
    const seat: Seat<Member> = { member, at: this.#seats.length };
    this.#seats.push(seat);
    return () => {
      const last = this.#seats.pop();
      if (last === undefined || last === seat) return;
      this.#seats[seat.at] = last;
      last.at = seat.at;
    };
  }
}
