/** QED, the "QEMU enhanced disk" that qcow2 version 3 made superfluous. */
import { run, wait, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { createQed } from './create.ts';
import { QedDriver } from './driver.ts';
import { BACKING_RAW, NEED_CHECK, readQedHeader } from './header.ts';

export const qed: FormatDescriptor = {
  name: 'qed',
  probe: (head) => (head[0] === 0x51 && head[1] === 0x45 && head[2] === 0x44 && head[3] === 0 ? 100 : 0),
  open: (storage, context) => run(open(storage, context)),
  create: createQed,
};

function* open(storage: Storage, context: OpenContext): Steps<FormatDriver> {
  const image = yield* readQedHeader(storage);
  const format = (image.header.features & BACKING_RAW) === 0n ? undefined : 'raw';
  const backing =
    image.backingFile === undefined || context.backing === 'none'
      ? undefined
      : yield* wait(context.openBacking(image.backingFile, format));
  const driver = new QedDriver(storage, image, context.readOnly, backing);
  // Not closed cleanly: entries may point at clusters that were never written. Whoever writes repairs first, as QEMU does.
  const dirty = (image.header.features & NEED_CHECK) !== 0n;
  if (!context.readOnly && dirty && context.repair !== true) yield* wait(driver.repair());
  return driver;
}
