/** Attacks through the requests of a disk: headers, sectors, lists of ranges (virtio 1.2, section 5.2.6). */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import { BLK_T } from '../../virtio/blk/protocol.ts';
import { DESC_F_NEXT, DESC_F_WRITE } from '../../virtio/queue/layout.ts';
import type { Hostile } from './hostile.ts';
import { attempt, DEVICE, type VirtioAttack, type VirtioAttackMore } from './virtio-attack.ts';

const request = (
  id: string,
  expects: AttackOutcome,
  run: (hostile: Hostile) => void,
  more: VirtioAttackMore & { section?: string } = {},
): VirtioAttack => {
  const { section = '5.2.6', ...rest } = more;
  return attempt(id, expects, section, run, { group: 'request', deviceId: DEVICE.block, ...rest });
};

/** A discard or a write of zeroes with one range of `bytes` bytes. */
function ranges(hostile: Hostile, sector: number, sectors: number, flags: number, bytes = 16): void {
  hostile.memory.writeUint(hostile.data, 4, sector >>> 0);
  hostile.memory.writeUint(hostile.data + 4, 4, 0);
  hostile.memory.writeUint(hostile.data + 8, 4, sectors);
  hostile.memory.writeUint(hostile.data + 12, 4, flags);
  hostile.submit(hostile.soundChain(BLK_T.discard, 0, bytes));
}

export const BLK_ATTACKS: readonly VirtioAttack[] = [
  request('short-header', 'needs-reset', (hostile) => {
    const [, data, status] = hostile.soundChain(BLK_T.in, 0);
    hostile.submit([[hostile.header, 8, DESC_F_NEXT, 1], data, status]);
  }),
  request('no-status', 'needs-reset', (hostile) => {
    hostile.soundChain(BLK_T.out, 0);
    hostile.submit([
      [hostile.header, 16, DESC_F_NEXT, 1],
      [hostile.data, 512, 0, 0],
    ]);
  }),
  request('past-capacity', 'error', (hostile) => hostile.submit(hostile.soundChain(BLK_T.in, 2 ** 40))),
  request('sector-overflow', 'error', (hostile) =>
    hostile.submit(hostile.soundChain(BLK_T.in, 0xffff_ffff_ffff_ffffn)),
  ),
  request('half-sector', 'error', (hostile) => hostile.submit(hostile.soundChain(BLK_T.in, 0, 300))),
  request('unknown-type', 'error', (hostile) => hostile.submit(hostile.soundChain(0x1234, 0))),
  request('discard-flags', 'error', (hostile) => ranges(hostile, 0, 8, 0xffff_fffe)),
  request('discard-past', 'error', (hostile) => ranges(hostile, 0xffff_fff0, 0xffff_ffff, 0)),
  request('discard-length', 'error', (hostile) => ranges(hostile, 0, 8, 0, 17)),
  request(
    'changed-header',
    'served',
    (hostile) => {
      const { requests } = hostile;
      requests.offerChain(hostile.soundChain(BLK_T.in, 0));
      requests.kick();
      // The device looks at the request, the driver turns it into another one behind its back.
      for (let steps = 0; steps < 3; steps++) hostile.device.step();
      hostile.writeHeader(BLK_T.out, 0xffff_ffff_ffff_ffffn);
      requests.describe([[2 ** 40, 16, DESC_F_NEXT | DESC_F_WRITE, 0xfffe]]);
      hostile.settle();
    },
    { group: 'time', section: '2.7.5' },
  ),
  {
    ...request('reset-in-flight', 'dropped', () => undefined, {
      group: 'time',
      cves: ['CVE-2022-26354'],
      section: '2.4',
    }),
    run: (hostile) => {
      const { requests } = hostile;
      requests.offerChain(hostile.soundChain(BLK_T.in, 0));
      requests.kick();
      for (let steps = 0; steps < 5; steps++) hostile.device.step();
      const before = hostile.memory.bytes.slice();
      hostile.write('status', 1, 0);
      hostile.settle();
      const untouched = Buffer.compare(hostile.memory.bytes, before) === 0;
      return untouched && hostile.answer === null ? 'dropped' : hostile.outcome;
    },
  },
];
