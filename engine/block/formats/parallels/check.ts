/** `qemu-img check` of a Parallels image (QEMU `parallels_co_check`). */
import { wait, type Steps } from '../../../maybe.ts';
import type { CheckResult } from '../../format.ts';
import { Findings } from '../shared/findings.ts';
import type { ParallelsDriver } from './driver.ts';

export function* checkParallels(driver: ParallelsDriver): Steps<CheckResult> {
  return yield* look(driver, false);
}

/** Finds, repairs, and answers what is wrong afterwards. `leaks` only cuts off the tail. */
export function* repairParallels(driver: ParallelsDriver, what: 'leaks' | 'all'): Steps<CheckResult> {
  if (what === 'all') {
    yield* look(driver, true);
    driver.unclean = false;
    yield* driver.markInUse(false);
  }
  const found = yield* look(driver, false);
  const size = yield* wait(driver.storage.size());
  if (found.leaks > 0 && found.imageEndOffset < size) {
    yield* wait(driver.storage.truncate(found.imageEndOffset));
    return yield* look(driver, false);
  }
  return found;
}

function* look(driver: ParallelsDriver, clear: boolean): Steps<CheckResult> {
  const findings = new Findings();
  const { result } = findings;
  const { clusterSize, table } = driver;
  const size = yield* wait(driver.storage.size());
  if (driver.unclean) findings.corruption('image was not closed correctly');
  result.totalClusters = table.count;
  let before = 0;
  let highest = 0;
  for (let index = 0; index < table.count; index++) {
    const position = yield* wait(driver.position(index));
    if (position === 0) {
      before = 0;
      continue;
    }
    if (position > size) {
      findings.corruption(`cluster ${index} lies at ${position}, outside the image of ${size} bytes`);
      if (clear) {
        yield* wait(table.set(index, 0));
        before = 0;
        continue;
      }
    }
    result.allocatedClusters++;
    highest = Math.max(highest, position);
    if (before !== 0 && before + clusterSize !== position) result.fragmentedClusters++;
    before = position;
  }
  result.imageEndOffset = highest + clusterSize;
  if (size > result.imageEndOffset) {
    const tail = size - result.imageEndOffset;
    findings.leak(Math.ceil(tail / clusterSize), `${tail} bytes at the end of the image are not used`);
  }
  return result;
}
