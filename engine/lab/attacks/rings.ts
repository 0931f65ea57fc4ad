/** Attacks through descriptors and rings: what a device must not believe about guest memory. */
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_SIZE } from '../../virtio/queue/layout.ts';
import { BLK_T } from '../../virtio/blk/protocol.ts';
import type { Attack } from './attack.ts';
import type { Hostile, RawDescriptor } from './hostile.ts';

const broken = (
  id: string,
  source: string,
  run: (hostile: Hostile) => void,
  cves: readonly string[] = [],
): Attack => ({
  id,
  group: 'ring',
  layout: 'split',
  expects: 'needs-reset',
  cves,
  source: `virtio 1.2, ${source}`,
  run: (hostile) => {
    run(hostile);
    return undefined;
  },
});

/** A sound read whose data buffer is replaced. */
function withData(hostile: Hostile, data: RawDescriptor): void {
  const [header, , status] = hostile.soundChain(BLK_T.in, 0);
  hostile.submit([header, data, status]);
}

/** A sound read behind an indirect descriptor of `length` bytes and `flags` beside INDIRECT. */
function indirect(hostile: Hostile, length: number, flags = 0): void {
  hostile.describe(hostile.soundChain(BLK_T.in, 0), hostile.table);
  hostile.submit([[hostile.table, length, DESC_F_INDIRECT | flags, 1]]);
}

export const RING_ATTACKS: readonly Attack[] = [
  broken('loop', '2.7.5.2', (hostile) => {
    const [header] = hostile.soundChain(BLK_T.in, 0);
    hostile.submit([header, [hostile.data, 512, DESC_F_NEXT | DESC_F_WRITE, 1]]);
  }),
  broken('head', '2.7.6', (hostile) => {
    hostile.offer(hostile.size);
    hostile.ring();
    hostile.settle();
  }),
  broken('next', '2.7.5', (hostile) =>
    withData(hostile, [hostile.data, 512, DESC_F_NEXT | DESC_F_WRITE, 0xfffe]),
  ),
  broken('avail-jump', '2.7.13', (hostile) => {
    hostile.describe(hostile.soundChain(BLK_T.in, 0));
    hostile.offer(0, hostile.size + 1);
    hostile.ring();
    hostile.settle();
  }),
  broken('indirect-length', '2.7.5.3.2', (hostile) => indirect(hostile, 3 * DESC_SIZE + 1)),
  broken('indirect-empty', '2.7.5.3.2', (hostile) => indirect(hostile, 0)),
  broken('indirect-next', '2.7.5.3.1', (hostile) => indirect(hostile, 3 * DESC_SIZE, DESC_F_NEXT)),
  broken('indirect-nested', '2.7.5.3.1', (hostile) => {
    hostile.describe([[hostile.table + 64, 3 * DESC_SIZE, DESC_F_INDIRECT, 0]], hostile.table);
    hostile.submit([[hostile.table, DESC_SIZE, DESC_F_INDIRECT, 0]]);
  }),
  broken('order', '2.7.4.2', (hostile) => {
    const [header, , status] = hostile.soundChain(BLK_T.out, 0);
    hostile.submit([
      [header[0], 16, DESC_F_NEXT | DESC_F_WRITE, 1],
      [hostile.data, 512, DESC_F_NEXT, 2],
      status,
    ]);
  }),
  broken('empty', '2.7.5', (hostile) => withData(hostile, [hostile.data, 0, DESC_F_NEXT | DESC_F_WRITE, 2]), [
    'CVE-2016-6490',
  ]),
  broken('outside', '2.7.5', (hostile) => withData(hostile, [2 ** 40, 512, DESC_F_NEXT | DESC_F_WRITE, 2]), [
    'CVE-2016-7422',
  ]),
  broken('wrap', '2.7.5', (hostile) =>
    withData(hostile, [0xffff_ffff_ffff_ff00n, 512, DESC_F_NEXT | DESC_F_WRITE, 2]),
  ),
  {
    interfaces: ['modern', 'mmio'],
    ...broken(
      'own-registers',
      '2.7.5',
      (hostile) => withData(hostile, [hostile.queue.doorbell.address, 512, DESC_F_NEXT | DESC_F_WRITE, 2]),
      ['CVE-2021-3750', 'CVE-2024-3446'],
    ),
  },
  broken('over-the-end', '2.7.5', (hostile) => {
    const last = hostile.memory.regions[hostile.memory.regions.length - 1];
    withData(hostile, [last.base + last.size - 256, 512, DESC_F_NEXT | DESC_F_WRITE, 2]);
  }),
];
