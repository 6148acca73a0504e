import { errorText } from "./observe/render.ts";

/** Why something failed, in one line each; what nobody foresaw with its stack. */
export function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof AggregateError) return error.errors.flatMap(reasonsOf);
  return [isForeseen(error) && error instanceof Error ? error.message : errorText(error)];
}

/** Errors of ours and of the system have a code; what has none is a bug of ours. */
export function isForeseen(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isForeseen);
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
