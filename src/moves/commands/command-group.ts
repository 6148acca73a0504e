/** A command's process group, known well enough that nobody else's is ever taken for it. */
export interface CommandGroup {
  /** Also the pid of its leader. */
  readonly pgid: number;
  /** When the leader began, in clock ticks since boot. Source: field 22 of /proc/PID/stat, proc(5). */
  readonly startTicks: string;
  /** Of /proc/sys/kernel/random/boot_id: ticks count anew after each boot. */
  readonly bootId: string;
  /** Stands in the environment of all its processes, as `MAILSHUNT_COMMAND`. */
  readonly token: string;
}
