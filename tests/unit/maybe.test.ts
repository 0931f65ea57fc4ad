import { expect, it } from 'vitest';
import { isPromise, run, wait, type Maybe, type Steps } from '#engine/maybe.ts';

function* sum(values: Maybe<number>[]): Steps<number> {
  let total = 0;
  for (const value of values) total += yield* wait(value);
  return total;
}

it('stays synchronous as long as everything is there', () => {
  expect(run(sum([1, 2, 3]))).toBe(6);
});

it('waits only for promises', async () => {
  const result = run(sum([1, Promise.resolve(2), 3, Promise.resolve(4)]));
  expect(isPromise(result)).toBe(true);
  expect(await result).toBe(10);
});

it('carries failures into the steps, where they can be caught', async () => {
  function* careful(value: Maybe<number>): Steps<string> {
    try {
      return String(yield* wait(value));
    } catch (error) {
      return `caught ${(error as Error).message}`;
    }
  }
  expect(await run(careful(Promise.reject(new Error('late'))))).toBe('caught late');
  await expect(run(sum([Promise.reject(new Error('not caught'))]))).rejects.toThrow('not caught');
});
