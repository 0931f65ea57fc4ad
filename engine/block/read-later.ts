/**
 * Reading for jobs that have several reads under way: long stretches are read and compressed clusters unpacked in Node's thread pool,
 * so that two processors work. Everything else is read at once, as the access layer reads it.
 */
import { isPromise, wait, type Maybe, type Steps } from '../maybe.ts';
import { ExtentSlot, type FormatDriver } from './format.ts';
import type { BlockNode } from './node.ts';
import { readPadded } from './padded.ts';
import { shownBy } from './range.ts';

/** Shorter stretches are read at once: handing one to another thread costs some ten microseconds. */
const LEAST = 128 << 10;

/** `target` belongs to the read until it is done. */
export function readLater(node: BlockNode, offset: number, target: Uint8Array): Maybe<void> {
  return node.readLater === undefined ? node.read(offset, target) : node.readLater(offset, target);
}

/** The same from a driver. All that was begun has ended before it throws what the first failure was. */
export function* readDriverLater(
  driver: FormatDriver,
  name: string,
  offset: number,
  target: Uint8Array,
): Steps<void> {
  const begun: Promise<void>[] = [];
  try {
    const slot = new ExtentSlot();
    for (let done = 0; done < target.length; done += slot.length) {
      yield* wait(driver.locate(offset + done, target.length - done, slot));
      const part = target.subarray(done, done + slot.length);
      const started = begin(driver, name, offset + done, part, slot);
      if (started === undefined) continue;
      // Looked at below; until then it must not count as a failure that nobody looks at.
      started.catch(() => undefined);
      begun.push(started);
    }
  } catch (error) {
    yield* wait(Promise.allSettled(begun));
    throw error;
  }
  if (begun.length === 0) return;
  const ends = yield* wait(Promise.allSettled(begun));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

function begin(
  driver: FormatDriver,
  name: string,
  offset: number,
  part: Uint8Array,
  { kind, storage, hostOffset }: ExtentSlot,
): Maybe<void> {
  if (kind === 'zero') {
    part.fill(0);
    return;
  }
  if (kind === 'unallocated') {
    const there = shownBy(driver.backing, offset, part.length);
    if (there < part.length) part.fill(0, there);
    if (driver.backing === undefined || there === 0) return;
    return readLater(driver.backing, offset, part.subarray(0, there));
  }
  if (kind === 'special') {
    return driver.readSpecialLater === undefined
      ? driver.readSpecial?.(offset, part)
      : driver.readSpecialLater(offset, part);
  }
  if (storage === undefined) throw new Error('data without a storage');
  if (part.length >= LEAST && storage.readLater !== undefined) {
    const size = storage.size();
    if (!isPromise(size) && hostOffset + part.length <= size) return storage.readLater(hostOffset, part);
  }
  return readPadded(storage, hostOffset, part, name, driver.clusterSize);
}
