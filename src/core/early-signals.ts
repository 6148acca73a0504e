/**
 * Imported first by the entry, for its effect: Node opens its debugger on SIGUSR1 until somebody listens, and a script
 * may send it as soon as it knows our pid. What comes before the daemon can reload is remembered as one reload.
 */
import { close, url } from "node:inspector";

let isPending = false;
let reload = (): void => {
  isPending = true;
};

/** A SIGUSR1 that came before this file was read has opened the debugger to every local user: it was meant for us. */
function closeDebugger(): void {
  if (url() === undefined) return;
  close();
  isPending = true;
}

process.on("SIGUSR1", () => reload());
if (!process.execArgv.some((flag) => flag.startsWith("--inspect"))) {
  closeDebugger();
  // Node may be opening it just now, on a thread of its own.
  setImmediate(closeDebugger);
}

/** A daemon takes SIGHUP for a reload from its first moment on; in any other command it ends the process, as usual. */
export function awaitReloadSignals(): void {
  process.on("SIGHUP", () => reload());
}

/** From now on SIGUSR1 and SIGHUP call back; those that came before do so once, at once. */
export function onReloadSignal(callback: () => void): void {
  reload = callback;
  if (!isPending) return;
  isPending = false;
  callback();
}
