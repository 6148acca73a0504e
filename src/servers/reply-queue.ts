import { encodeReply, type Reply } from "../protocols/lmtp/reply.ts";

interface Slot {
  text: string | undefined;
}

/** How many given slots may stand before the open ones until they are let go. */
const COMPACT_AT = 1024;

/** Puts replies out in the order of their commands, each as soon as it and all before it are known. */
export class ReplyQueue {
  readonly #write: (text: string) => void;
  #slots: Slot[] = [];
  #first = 0;

  /** @param write takes replies as the wire has them */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Replies that are not out yet. */
  get length(): number {
    return this.#slots.length - this.#first;
  }

  push(reply: Reply): void {
    if (this.length === 0) this.#write(encodeReply(reply));
    else this.#slots.push({ text: encodeReply(reply) });
  }

  /** Keeps a place for the reply to the present command. */
  reserve(): (reply: Reply) => void {
    const slot: Slot = { text: undefined };
    this.#slots.push(slot);
    return (reply) => {
      slot.text = encodeReply(reply);
      this.#flush();
    };
  }

  #flush(): void {
    for (;;) {
      const text = this.#slots[this.#first]?.text;
      if (text === undefined) break;
      this.#first += 1;
      this.#write(text);
    }
    if (this.#first < this.#slots.length && this.#first < COMPACT_AT) return;
    this.#slots = this.#slots.slice(this.#first);
    this.#first = 0;
  }
}
