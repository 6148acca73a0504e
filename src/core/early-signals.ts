/**
 * Imported first by the entry, for its effect: Node opens its debugger on SIGUSR1 until somebody listens, and a script
 * may send it as soon as it knows our pid. What comes before the daemon can reload is remembered as one reload.
 */
let isPending = false;
let reload = (): void => {
  isPending = true;
};

process.on("SIGUSR1", () => reload());

/** From now on SIGUSR1 and SIGHUP call back; a SIGUSR1 that came before does so once, at once. */
export function onReloadSignal(callback: () => void): void {
  reload = callback;
  process.on("SIGHUP", () => reload());
  if (!isPending) return;
  isPending = false;
  callback();
}
