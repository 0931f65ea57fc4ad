/** VDI, VirtualBox's format. */
import { andThen } from '../../../maybe.ts';
import type { FormatDescriptor } from '../../format.ts';
import { createVdi } from './create.ts';
import { VdiDriver } from './driver.ts';
import { readVdiHeader, VDI_SIGNATURE, vdiHeader } from './header.ts';

export const vdi: FormatDescriptor = {
  name: 'vdi',
  probe: (head) => {
    const at = vdiHeader.offsetOf('signature');
    if (head.length < at + 4) return 0;
    return new DataView(head.buffer, head.byteOffset).getUint32(at, true) === VDI_SIGNATURE ? 100 : 0;
  },
  open: (storage, context) =>
    andThen(readVdiHeader(storage), (header) => new VdiDriver(storage, header, context.readOnly)),
  create: createVdi,
};
