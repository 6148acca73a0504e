/** What a library's error says, on one line where it can: the innermost message of those that say nothing themselves. */
export function errorText(error: unknown): string {
  // A name with several addresses fails with one error for each, in one that says nothing itself.
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorText).join(", ");
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return (error.message === "" ? code : error.message).replaceAll(/\s*[\r\n]+\s*/g, " ").trim();
}
