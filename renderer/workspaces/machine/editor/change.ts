/** The smallest replacement that turns one text into another, so that an undo step is what a person would call one. */

export interface Change {
  from: number;
  to: number;
  insert: string;
}

/** Null when the texts are the same. */
export function smallestChange(before: string, after: string): Change | null {
  if (before === after) return null;
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < most - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  return { from: head, to: before.length - tail, insert: after.slice(head, after.length - tail) };
}
