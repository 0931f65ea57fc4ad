/** Guest-visible bytes straight from a driver, for its own copying: as the access layer reads, but within one operation. */
import { wait, type Steps } from '../maybe.ts';
import { ExtentSlot, type FormatDriver } from './format.ts';
import { readPadded } from './padded.ts';
import { readOrZero } from './range.ts';

/** Fills `target`; what lies past the disk's end is zero. */
export function* readThrough(
  driver: FormatDriver,
  name: string,
  offset: number,
  target: Uint8Array,
): Steps<void> {
  const there = Math.max(0, Math.min(target.length, driver.virtualSize - offset));
  target.fill(0, there);
  const slot = new ExtentSlot();
  for (let done = 0; done < there;) {
    yield* wait(driver.locate(offset + done, there - done, slot));
    const part = target.subarray(done, done + slot.length);
    done += slot.length;
    if (slot.kind === 'data' && slot.storage !== undefined) {
      yield* wait(readPadded(slot.storage, slot.hostOffset, part, name, driver.clusterSize));
    } else if (slot.kind === 'special') {
      yield* wait(driver.readSpecial?.(offset + done - slot.length, part));
    } else if (slot.kind === 'zero') {
      part.fill(0);
    } else {
      yield* wait(readOrZero(driver.backing, offset + done - part.length, part));
    }
  }
}

/** Whether the tables say that the range reads as zeroes; bytes are not looked at. Past the disk's end it does. */
export function* zeroThrough(driver: FormatDriver, offset: number, length: number): Steps<boolean> {
  const end = Math.min(offset + length, driver.virtualSize);
  const slot = new ExtentSlot();
  for (let at = offset; at < end; at += slot.length) {
    yield* wait(driver.locate(at, end - at, slot));
    if (slot.kind === 'zero') continue;
    if (slot.kind !== 'unallocated') return false;
    if (driver.backing !== undefined && at < driver.backing.virtualSize) return false;
  }
  return true;
}
