/** VMDK, VMware's format. */
import { run } from '../../../maybe.ts';
import type { FormatDescriptor } from '../../format.ts';
import { createVmdk } from './create.ts';
import { looksLikeDescriptor } from './descriptor.ts';
import { COWD_MAGIC, VMDK4_MAGIC } from './header.ts';
import { openVmdk } from './open.ts';

export const vmdk: FormatDescriptor = {
  name: 'vmdk',
  probe: (head) => {
    const magic = String.fromCharCode(...head.subarray(0, 4));
    return magic === VMDK4_MAGIC || magic === COWD_MAGIC || looksLikeDescriptor(head) ? 100 : 0;
  },
  open: (storage, context) => run(openVmdk(storage, context)),
  create: createVmdk,
};
