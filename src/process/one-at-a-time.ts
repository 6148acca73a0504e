/**
 * Makes calls of `run` never overlap: any number of calls while one is under way lead to exactly one more.
 * @param run never rejects
 */
export function oneAtATime(run: () => Promise<void>): () => void {
  let isRunning = false;
  let isWanted = false;

  async function loop(): Promise<void> {
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      await run();
    }
    isRunning = false;
  }

  return () => {
    isWanted = true;
    if (!isRunning) void loop();
  };
}
