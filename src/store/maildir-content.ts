/**
 * Takes a message as LMTP carries it and gives it as a Maildir keeps it: without dot-stuffing, lines ended by LF.
 * Every line must come ended by CR LF, without another CR or LF in it.
 */
export class MaildirContent {
  #isLineStart = true;

  feed(piece: Buffer): Buffer {
    if (piece.length === 0) return piece;
    const lines = piece.toString("latin1").replaceAll("\r", "");
    const plain = lines.replaceAll("\n.", "\n");
    const kept = this.#isLineStart && plain.startsWith(".") ? plain.slice(1) : plain;
    // A lone CR is half a line end; a stuffed dot that ends the piece has been taken off already.
    if (lines !== "") this.#isLineStart = lines.endsWith("\n");
    return Buffer.from(kept, "latin1");
  }
}
