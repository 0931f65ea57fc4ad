/** VHD, which QEMU calls vpc: Virtual PC's and Hyper-V's first format. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDescriptor, FormatDriver, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { latin1 } from '../shared/layout.ts';
import { createVpc } from './create.ts';
import { VpcDifferencingDriver } from './differencing.ts';
import { blockTable, endOfBlocks, VpcDynamicDriver } from './driver.ts';
import { VpcFixedDriver } from './fixed.ts';
import { isFixedFooter, readVhdHeaders, VHD_COOKIE, VHD_DIFFERENCING } from './header.ts';
import { openParent } from './parent.ts';

/** Tables up to this many entries are looked through when the image is opened, so that a truncated one is refused at once. */
const EAGER_ENTRIES = 1 << 20;

export const vpc: FormatDescriptor = {
  name: 'vpc',
  /** A fixed disk has nothing at its start to tell it by; QEMU wants it named, a valid footer is proof enough here. */
  probe: (head, _size, _name, tail) => {
    if (latin1(head.subarray(0, 8)) === VHD_COOKIE) return 100;
    return isFixedFooter(tail) ? 50 : 0;
  },
  open: (storage, context) => run(open(storage, context)),
  create: createVpc,
};

function* open(storage: Storage, context: OpenContext): Steps<FormatDriver> {
  const headers = yield* readVhdHeaders(storage, context.vpcSize);
  const header = headers.dynamic;
  if (header === undefined) return new VpcFixedDriver(storage, headers, context.readOnly);
  if (header.max_table_entries <= EAGER_ENTRIES) {
    yield* endOfBlocks(storage, header, blockTable(storage, header));
  }
  if (headers.footer.type !== VHD_DIFFERENCING) {
    return new VpcDynamicDriver(storage, headers, header, context.readOnly);
  }
  return new VpcDifferencingDriver(storage, headers, header, yield* openParent(storage, header, context));
}
