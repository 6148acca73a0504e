import { execFile } from "node:child_process";

/** How long systemd-notify may take, in ms. */
const LIMIT_MS = 5_000;

/** What systemd hears of us, in order. Nothing where it does not listen. */
export interface ServiceManager {
  ready(status: string): void;
  /** Must be followed by `ready`, or systemctl waits until it gives up. */
  reloading(): void;
  stopping(): void;
  /** Resolves when all was sent. Never rejects. */
  settled(): Promise<void>;
}

/**
 * Tells systemd through systemd-notify(1), since Node has no unix datagram sockets. Takes NOTIFY_SOCKET out of the
 * environment, so that no other child speaks in our name.
 * @param onTrouble hears why a message could not be sent
 */
export function connectServiceManager(
  environment: NodeJS.ProcessEnv,
  onTrouble: (reason: string) => void,
): ServiceManager {
  const socket = environment["NOTIFY_SOCKET"];
  delete environment["NOTIFY_SOCKET"];
  let queue = Promise.resolve();

  function send(...assignments: string[]): void {
    if (socket === undefined || socket === "") return;
    const env = { ...environment, NOTIFY_SOCKET: socket };
    queue = queue.then(() => notify(assignments, env)).then(report);
  }

  const report = (trouble: string | undefined): void => {
    if (trouble !== undefined) onTrouble(trouble);
  };

  return {
    ready: (status) => send("READY=1", `STATUS=${status}`),
    // CLOCK_MONOTONIC in microseconds, which hrtime is; performance.now() counts from our own start.
    reloading: () => send("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => send("STOPPING=1"),
    settled: () => queue,
  };
}

/** @returns why it could not be sent */
function notify(assignments: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("systemd-notify", [...assignments], { env, timeout: LIMIT_MS }, (error) =>
      resolve(error === null ? undefined : `systemd was not told ${assignments[0] ?? ""}: ${error.message}`),
    );
  });
}
