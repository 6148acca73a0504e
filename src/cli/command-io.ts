/** Where a command reads: `process.stdin`, or a test's own. */
export interface TextInput extends AsyncIterable<Buffer | string> {
  readonly isTTY?: boolean;
}

/** Where a command writes. */
export interface TextOutput {
  write(text: string): unknown;
  /** Whoever read it has gone, as head(1) does. */
  readonly destroyed?: boolean;
}

export interface CommandIo {
  readonly stdin: TextInput;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
}

/** A command line or a file that it names is wrong: said on stderr, then the process ends with `exitCode`. */
export class CommandFault extends Error {
  override readonly name = "CommandFault";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
