/** dmg, Apple's disk images. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1 } from '../shared/layout.ts';
import { DmgDriver } from './driver.ts';
import { KOLY, readDmg } from './header.ts';

export const dmg: FormatDescriptor = {
  name: 'dmg',
  /** QEMU goes by the name alone; the trailer is better evidence. */
  probe: (_head, _size, name, tail) => {
    if (tail.length === 512 && latin1(tail.subarray(0, 4)) === KOLY) return 50;
    return name.length > 4 && name.endsWith('.dmg') ? 2 : 0;
  },
  open: (storage) => run(open(storage)),
};

function* open(storage: Storage): Steps<FormatDriver> {
  return new DmgDriver(storage, yield* readDmg(storage));
}
