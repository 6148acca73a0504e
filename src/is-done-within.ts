/** Whether `promise` was done in time. Keeps the process alive meanwhile, which a `Clock` would not. */
export async function isDoneWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timeout = setTimeout(resolve, limitMs, false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timeout);
  }
}
