/** A refusal as RFC 9457 has it. `title` is the same for every occurrence, `detail` helps with this one. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: ProblemStatus;
  readonly title: string;
  /** More members of the document. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: ProblemStatus,
    title: string,
    detail: string,
    members: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.status = status;
    this.title = title;
    this.members = members;
    this.headers = headers;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return { title: this.title, status: this.status, detail: this.message, ...this.members };
  }
}

export type ProblemStatus = 400 | 401 | 404 | 405 | 409 | 413 | 422 | 500 | 501 | 503;

export const PROBLEM_TYPE = "application/problem+json";

/** A title. Who asks again with `confirmed` is not refused. */
export const MOVED_ELSEWHERE = "Moved elsewhere";

/** What the configuration does not provide for. */
export const noDirectory = (): Problem =>
  new Problem(501, "No directory", 'the configuration has no directory: add `directory: { store: "sqlite:/path" }`');
