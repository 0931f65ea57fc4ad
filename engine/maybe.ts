/**
 * `Maybe<T>`: a value now, or a promise of it.
 *
 * A local file is read synchronously (a 4 KiB read costs a microsecond that way and thirty through the thread pool); a
 * server is read asynchronously. Code above awaits only what is a promise, so that the fast path never leaves the stack.
 */
export type Maybe<T> = T | Promise<T>;

/** Whether the value must be awaited. */
export function isPromise<T>(value: Maybe<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** `next(value)` at once when the value is there, after it when it is a promise. */
export function andThen<T, U>(value: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return isPromise(value) ? value.then(next) : next(value);
}
