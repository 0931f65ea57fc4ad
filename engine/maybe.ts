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

/** The body of an operation that may have to wait: write it once as a generator, `run` it, and it stays synchronous over files. */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** `yield* wait(maybe)` inside `Steps`: the value at once, or after the promise that `run` awaits. */
export function* wait<T>(value: Maybe<T>): Steps<T> {
  return isPromise(value) ? ((yield value) as T) : value;
}

/** Runs `steps` on this stack until the first promise, and the rest when it settles. */
export function run<T>(steps: Steps<T>): Maybe<T> {
  const first = steps.next();
  return first.done === true ? first.value : resume(steps, first.value);
}

async function resume<T>(steps: Steps<T>, pending: Promise<unknown>): Promise<T> {
  for (;;) {
    let next: IteratorResult<Promise<unknown>, T>;
    try {
      const value = await pending;
      next = steps.next(value);
    } catch (error) {
      next = steps.throw(error);
    }
    if (next.done === true) return next.value;
    pending = next.value;
  }
}
