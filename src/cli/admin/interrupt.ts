/** As shells tell the end by a SIGINT. */
export const INTERRUPTED = 130;

/** Ctrl-C ends a command, and what it has begun may go on: whoever pressed it has to hear of that. */
export function onInterrupt(): { readonly happened: Promise<typeof INTERRUPTED>; forget(): void } {
  const { promise: happened, resolve } = Promise.withResolvers<typeof INTERRUPTED>();
  const onSignal = (): void => resolve(INTERRUPTED);
  // A second one ends the process as ever.
  process.once("SIGINT", onSignal);
  return { happened, forget: () => void process.off("SIGINT", onSignal) };
}

/**
 * @param act ends with the connection when it was interrupted, and its outcome is nobody's then
 * @param describe what is left of it, with its end of line
 * @returns what `act` returns, or 130
 */
export async function unlessInterrupted(
  act: () => Promise<number>,
  describe: () => string,
  stderr: { write(text: string): unknown },
): Promise<number> {
  const interruption = onInterrupt();
  try {
    const done = act();
    const exitCode = await Promise.race([done, interruption.happened]);
    if (exitCode !== INTERRUPTED) return exitCode;
    done.catch(() => undefined);
    stderr.write(describe());
    return exitCode;
  } finally {
    interruption.forget();
  }
}
