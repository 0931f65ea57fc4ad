/** Attacks through descriptors and rings: what a device must not believe about guest memory. */
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_SIZE } from '../../virtio/queue/layout.ts';
import { BLK_T } from '../../virtio/blk/protocol.ts';
import type { Hostile } from './hostile.ts';
import type { RawDescriptor } from './raw-ring.ts';
import { attempt, type VirtioAttack, type VirtioAttackMore } from './virtio-attack.ts';

const broken = (
  id: string,
  source: string,
  run: (hostile: Hostile) => void,
  more: VirtioAttackMore = {},
): VirtioAttack => attempt(id, 'needs-reset', source, run, more);

const SPLIT = { layout: 'split' } as const;

/** A sound read whose data buffer is replaced. */
function withData(hostile: Hostile, data: RawDescriptor): void {
  const [header, , status] = hostile.soundChain(BLK_T.in, 0);
  hostile.submit([header, data, status]);
}

/** A sound read behind an indirect descriptor of `length` bytes and `flags` beside INDIRECT. */
function indirect(hostile: Hostile, length: number, flags = 0): void {
  hostile.describeTable(hostile.soundChain(BLK_T.in, 0));
  hostile.submit([[hostile.table, length, DESC_F_INDIRECT | flags, 1]]);
}

/** As many descriptors of so many bytes as the queue has, of which only the addresses are sound. */
function oversize(hostile: Hostile, bytes: number): void {
  const { requests, header } = hostile;
  hostile.submit(
    Array.from({ length: requests.size }, (_, i) => [
      header,
      bytes,
      i === requests.size - 1 ? 0 : DESC_F_NEXT,
      i + 1,
    ]),
  );
}

export const RING_ATTACKS: readonly VirtioAttack[] = [
  broken(
    'loop',
    '2.7.5.2',
    (hostile) => {
      const [header] = hostile.soundChain(BLK_T.in, 0);
      hostile.submit([header, [hostile.data, 512, DESC_F_NEXT | DESC_F_WRITE, 1]]);
    },
    SPLIT,
  ),
  broken(
    'head',
    '2.7.6',
    (hostile) => {
      const { requests } = hostile;
      requests.offer(requests.size);
      requests.kick();
      hostile.settle();
    },
    SPLIT,
  ),
  broken(
    'next',
    '2.7.5',
    (hostile) => withData(hostile, [hostile.data, 512, DESC_F_NEXT | DESC_F_WRITE, 0xfffe]),
    SPLIT,
  ),
  broken(
    'avail-jump',
    '2.7.13',
    (hostile) => {
      const { requests } = hostile;
      requests.describe(hostile.soundChain(BLK_T.in, 0));
      requests.offer(0, requests.size + 1);
      requests.kick();
      hostile.settle();
    },
    SPLIT,
  ),
  broken('indirect-length', '2.7.5.3.2', (hostile) => indirect(hostile, 3 * DESC_SIZE + 1)),
  broken('indirect-empty', '2.7.5.3.2', (hostile) => indirect(hostile, 0)),
  broken('indirect-next', '2.7.5.3.1', (hostile) => indirect(hostile, 3 * DESC_SIZE, DESC_F_NEXT)),
  broken('indirect-nested', '2.7.5.3.1', (hostile) => {
    hostile.describeTable([[hostile.table + 64, 3 * DESC_SIZE, DESC_F_INDIRECT, 0]]);
    hostile.submit([[hostile.table, DESC_SIZE, DESC_F_INDIRECT, 0]]);
  }),
  broken('indirect-outside', '2.7.5.3.2', (hostile) =>
    hostile.submit([[2 ** 40, 3 * DESC_SIZE, DESC_F_INDIRECT, 0]]),
  ),
  broken('indirect-huge', '2.7.5.3.1', (hostile) => {
    const { size } = hostile.requests;
    const entry = (i: number): RawDescriptor => [hostile.header, 1, DESC_F_NEXT, i + 1];
    hostile.describeTable(Array.from({ length: size + 1 }, (_, i) => entry(i)));
    hostile.submit([[hostile.table, (size + 1) * DESC_SIZE, DESC_F_INDIRECT, 0]]);
  }),
  broken('order', '2.7.4.2', (hostile) => {
    const [header, , status] = hostile.soundChain(BLK_T.out, 0);
    hostile.submit([
      [header[0], 16, DESC_F_NEXT | DESC_F_WRITE, 1],
      [hostile.data, 512, DESC_F_NEXT, 2],
      status,
    ]);
  }),
  broken('empty', '2.7.5', (hostile) => withData(hostile, [hostile.data, 0, DESC_F_NEXT | DESC_F_WRITE, 2]), {
    cves: ['CVE-2016-6490'],
  }),
  broken('outside', '2.7.5', (hostile) => withData(hostile, [2 ** 40, 512, DESC_F_NEXT | DESC_F_WRITE, 2]), {
    cves: ['CVE-2016-7422'],
  }),
  broken('wrap', '2.7.5', (hostile) =>
    withData(hostile, [0xffff_ffff_ffff_ff00n, 512, DESC_F_NEXT | DESC_F_WRITE, 2]),
  ),
  broken(
    'own-registers',
    '2.7.5',
    (hostile) => withData(hostile, [hostile.queue.doorbell.address, 512, DESC_F_NEXT | DESC_F_WRITE, 2]),
    { cves: ['CVE-2021-3750', 'CVE-2024-3446'], interfaces: ['modern', 'mmio', 'mmio-legacy'] },
  ),
  broken('over-the-end', '2.7.5', (hostile) => {
    const last = hostile.memory.regions[hostile.memory.regions.length - 1];
    withData(hostile, [last.base + last.size - 256, 512, DESC_F_NEXT | DESC_F_WRITE, 2]);
  }),
  broken('oversize', '2.7.4.2', (hostile) => oversize(hostile, 0xffff_ffff)),
];
