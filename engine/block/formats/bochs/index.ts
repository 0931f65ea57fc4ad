/** Bochs' growing disks. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1 } from '../shared/layout.ts';
import { BochsDriver } from './driver.ts';
import { BOCHS_MAGIC, readBochsHeader } from './header.ts';

export const bochs: FormatDescriptor = {
  name: 'bochs',
  probe: (head) => {
    const growing =
      latin1(head.subarray(32, 48)) === 'Redolog' && latin1(head.subarray(48, 64)) === 'Growing';
    return head.length >= 512 && latin1(head.subarray(0, 32)) === BOCHS_MAGIC && growing ? 100 : 0;
  },
  open: (storage) => run(open(storage)),
};

function* open(storage: Storage): Steps<FormatDriver> {
  return new BochsDriver(storage, yield* readBochsHeader(storage));
}
