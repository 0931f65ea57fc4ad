import { expect, it } from 'vitest';
import { imageExtents, isExtentFact } from './extents.ts';

it('finds the extents of a VMDK in their order', () => {
  const formatSpecific = {
    cid: 1,
    'extents.10.filename': 'a-s011.vmdk',
    'extents.10.format': 'SPARSE',
    'extents.2.filename': 'a-s003.vmdk',
    'extents.2.virtual-size': 2147483648,
    'extents.2.cluster-size': 65536,
  };
  expect(imageExtents({ formatSpecific } as never)).toEqual([
    { index: 2, file: 'a-s003.vmdk', kind: '', virtualSize: 2147483648, clusterSize: 65536 },
    { index: 10, file: 'a-s011.vmdk', kind: 'SPARSE' },
  ]);
  expect(['extents.0.format', 'cid', 'extents'].map(isExtentFact)).toEqual([true, false, false]);
});
