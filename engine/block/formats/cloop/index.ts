/** cloop, the compressed loop device of Knoppix. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1 } from '../shared/layout.ts';
import { CloopDriver } from './driver.ts';
import { CLOOP_SCRIPT, readCloopHeader } from './header.ts';

export const cloop: FormatDescriptor = {
  name: 'cloop',
  probe: (head) => (latin1(head.subarray(0, CLOOP_SCRIPT.length)) === CLOOP_SCRIPT ? 2 : 0),
  open: (storage) => run(open(storage)),
};

function* open(storage: Storage): Steps<FormatDriver> {
  return new CloopDriver(storage, yield* readCloopHeader(storage));
}
