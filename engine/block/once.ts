/** What is made when it is asked for first, and kept: also when it turns out that there is none. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
