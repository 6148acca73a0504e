/** The backend could not be reached, refused us or broke off. Always answered with a 4xx, never a 5xx. */
export class BackendUnavailable extends Error {
  override readonly name = "BackendUnavailable";
  readonly code = "BACKEND_UNAVAILABLE";
  readonly backend: string;
  /** `busy`: all connections were in use for too long. `loop`: the backend is ourselves. */
  readonly why: "unreachable" | "rejected" | "loop" | "busy" | "closing" | "disabled";

  constructor(backend: string, why: BackendUnavailable["why"], reason: string) {
    super(reason);
    this.backend = backend;
    this.why = why;
  }
}
