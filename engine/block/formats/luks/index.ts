/** LUKS, the encryption of Linux. */
import { run } from '../../../maybe.ts';
import type { FormatDescriptor } from '../../format.ts';
import { createLuks } from './create.ts';
import { MAGIC } from './header1.ts';
import { openLuks } from './open.ts';

export const luks: FormatDescriptor = {
  name: 'luks',
  probe: (head) => {
    const known = head.length >= 8 && head[6] === 0 && (head[7] === 1 || head[7] === 2);
    return known && Buffer.compare(head.subarray(0, 6), MAGIC) === 0 ? 100 : 0;
  },
  open: (storage, context) => run(openLuks(storage, context)),
  startsAsNoise: true,
  create: createLuks,
};
