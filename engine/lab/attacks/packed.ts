/** Attacks through a packed ring (virtio 1.2, section 2.8). */
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_SIZE } from '../../virtio/queue/layout.ts';
import type { Attack } from './attack.ts';
import type { Hostile, RawDescriptor } from './hostile.ts';

const HEADER_BYTES = 16;

const broken = (
  id: string,
  source: string,
  descriptors: (hostile: Hostile) => readonly RawDescriptor[],
  cves: readonly string[] = [],
): Attack => ({
  id,
  group: 'ring',
  layout: 'packed',
  expects: 'needs-reset',
  cves,
  source: `virtio 1.2, ${source}`,
  run: (hostile) => {
    hostile.submitPacked(descriptors(hostile));
    return undefined;
  },
});

/** A header, then what is wrong. */
const after = ({ header }: Hostile, ...rest: readonly RawDescriptor[]): readonly RawDescriptor[] => [
  [header, HEADER_BYTES, DESC_F_NEXT],
  ...rest,
];

export const PACKED_ATTACKS: readonly Attack[] = [
  broken(
    'packed-endless',
    '2.8.5',
    ({ header, size }) => Array.from({ length: size }, () => [header, HEADER_BYTES, DESC_F_NEXT] as const),
    ['CVE-2026-16457'],
  ),
  broken('packed-order', '2.7.4.2', (hostile) => [
    [hostile.data, 512, DESC_F_NEXT | DESC_F_WRITE],
    [hostile.header, HEADER_BYTES, 0],
  ]),
  broken('packed-empty', '2.8.5', (hostile) => after(hostile, [hostile.data, 0, DESC_F_WRITE]), [
    'CVE-2016-6490',
  ]),
  broken('packed-outside', '2.8.5', (hostile) => after(hostile, [2 ** 40, 512, DESC_F_WRITE]), [
    'CVE-2016-7422',
  ]),
  broken('packed-indirect', '2.8.7', (hostile) => [[hostile.table, 2 * DESC_SIZE + 1, DESC_F_INDIRECT]]),
];
