/** Where lines go. One `send` at a time. */
export interface LogTarget {
  /** Writes as much as goes and says how many bytes that was: at once or later, once. */
  send(bytes: Buffer, sent: (byteCount: number) => void): void;
  /** Writes without waiting, at exit, and says how many bytes went. Only while no `send` is under way. */
  sendNow(bytes: Buffer): number;
  /** Opens a file again under its name, after it was renamed by a rotation. */
  reopen(): void;
  /** Ends it, waiting for a child to take what it was sent. Never rejects. */
  close(): Promise<void>;
}
