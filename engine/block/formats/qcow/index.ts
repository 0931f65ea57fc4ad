/** qcow version 1, QEMU's first copy-on-write format: read, so that it can be left behind. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { openQcow } from './driver.ts';
import { QCOW_MAGIC, readQcowHeader } from './header.ts';

export const qcow: FormatDescriptor = {
  name: 'qcow',
  probe: (head) => {
    if (head.length < 48) return 0;
    const view = new DataView(head.buffer, head.byteOffset);
    return view.getUint32(0) === QCOW_MAGIC && view.getUint32(4) === 1 ? 100 : 0;
  },
  open: (storage, context) => run(open(storage, context)),
};

function* open(storage: Storage, context: OpenContext): Steps<FormatDriver> {
  const image = yield* readQcowHeader(storage);
  return yield* openQcow(storage, image, context);
}
