/** Attacks through the queues of a SCSI host: headers, addresses, task management, events (virtio 1.2, section 5.6.6). */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import { OPCODE } from '../../scsi/opcode.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE } from '../../virtio/queue/layout.ts';
import { SCSI_CONFIG } from '../../virtio/scsi/config.ts';
import { CTRL_TYPE, encodeAddress, TMF, TMF_REQ } from '../../virtio/scsi/protocol.ts';
import type { Hostile } from './hostile.ts';
import { attempt, DEVICE, type VirtioAttack, type VirtioAttackMore } from './virtio-attack.ts';

const READ_ONE = [OPCODE.read10, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const TEST_UNIT_READY = [OPCODE.testUnitReady, 0, 0, 0, 0, 0];

const scsi = (
  id: string,
  expects: AttackOutcome,
  section: string,
  run: (hostile: Hostile) => void,
  more: VirtioAttackMore = {},
): VirtioAttack => attempt(id, expects, section, run, { group: 'request', deviceId: DEVICE.scsi, ...more });

/** An address on the bus that is not the disk's (virtio 1.2, section 5.6.6.1). */
const elsewhere = (id: string, address: Uint8Array): VirtioAttack =>
  scsi(id, 'error', '5.6.6.1', (hostile) => hostile.command(TEST_UNIT_READY, { address }));

/** The first `bytes` bytes of a task management request, and its answer. */
function manage(
  hostile: Hostile,
  subtype: number,
  address: Uint8Array,
  { type, bytes }: { type: number; bytes: number } = { type: CTRL_TYPE.tmf, bytes: TMF_REQ.bytes },
): void {
  const request = new Uint8Array(TMF_REQ.bytes);
  const view = new DataView(request.buffer);
  view.setUint32(0, type, true);
  view.setUint32(TMF_REQ.subtype, subtype, true);
  request.set(address, TMF_REQ.lun);
  request[TMF_REQ.tag] = 1;
  hostile.memory.write(hostile.header, request);
  hostile.submit(
    [
      [hostile.header, bytes, DESC_F_NEXT, 1],
      [hostile.status, 1, DESC_F_WRITE, 0],
    ],
    hostile.rawRing(hostile.control),
  );
}

const control = (
  id: string,
  expects: AttackOutcome,
  run: (hostile: Hostile) => void,
  section = '5.6.6.2',
): VirtioAttack => scsi(id, expects, section, run, { group: 'control' });

/** A loop in a queue that is not for requests: of a packed ring, a chain without an end. */
function loop(hostile: Hostile, queue: Hostile['control']): void {
  const ring = hostile.rawRing(queue);
  const turns = ring.layout === 'packed' ? ring.size : 1;
  hostile.submit(
    Array.from({ length: turns }, () => [hostile.header, 16, DESC_F_NEXT, 0] as const),
    ring,
  );
}

export const SCSI_QUEUE_ATTACKS: readonly VirtioAttack[] = [
  scsi('scsi-short-header', 'needs-reset', '5.6.6.1', (hostile) =>
    hostile.command(READ_ONE, { into: 512, headerBytes: 20 }),
  ),
  scsi('scsi-no-answer', 'needs-reset', '5.6.6.1', (hostile) => {
    hostile.memory.write(hostile.header, new Uint8Array(64));
    hostile.submit([[hostile.header, 51, 0, 0]]);
  }),
  elsewhere('scsi-reserved-lun', Uint8Array.of(1, 0, 0xc0, 0, 0, 0, 0, 0)),
  elsewhere('scsi-no-target', encodeAddress(255, 0)),
  scsi(
    'scsi-config-cdb',
    'needs-reset',
    '5.6.4',
    (hostile) => {
      hostile.write('config', 4, 0xffff_ffff, SCSI_CONFIG.cdbSize);
    },
    { group: 'registers' },
  ),
  scsi(
    'scsi-changed-header',
    'served',
    '2.7.5',
    (hostile) => {
      hostile.offerCommand(READ_ONE, { into: hostile.blockSize });
      hostile.requests.kick();
      // The device has taken the request and copied its header: from here on it is another one in memory.
      for (let steps = 0; steps < 4; steps++) hostile.device.step();
      hostile.rewriteCommand([0xff]);
      hostile.requests.describe([[2 ** 40, 16, DESC_F_NEXT | DESC_F_WRITE, 0xfffe]]);
      hostile.settle();
    },
    { group: 'time' },
  ),
  {
    ...scsi('scsi-reset-in-flight', 'dropped', '2.4', () => undefined, {
      group: 'time',
      cves: ['CVE-2022-26354'],
    }),
    run: (hostile) => {
      hostile.offerCommand(READ_ONE, { into: hostile.blockSize });
      hostile.requests.kick();
      for (let steps = 0; steps < 6; steps++) hostile.device.step();
      const before = hostile.memory.bytes.slice();
      hostile.write('status', 1, 0);
      hostile.settle();
      const untouched = Buffer.compare(hostile.memory.bytes, before) === 0;
      return untouched && hostile.answer === null ? 'dropped' : hostile.outcome;
    },
  },
  control('tmf-nobody', 'error', (hostile) => manage(hostile, TMF.abortTask, encodeAddress(200, 7))),
  control('tmf-unknown', 'error', (hostile) => manage(hostile, 99, encodeAddress(hostile.place.target, 0))),
  control('tmf-short', 'needs-reset', (hostile) =>
    manage(hostile, TMF.abortTask, encodeAddress(0, 0), { type: CTRL_TYPE.tmf, bytes: 8 }),
  ),
  control('control-type', 'ignored', (hostile) =>
    manage(hostile, 0, encodeAddress(0, 0), { type: 0x1234, bytes: TMF_REQ.bytes }),
  ),
  control('control-loop', 'needs-reset', (hostile) => loop(hostile, hostile.control), '2.7.5.2'),
  control(
    'control-indirect',
    'needs-reset',
    (hostile) => hostile.submit([[hostile.table, 17, DESC_F_INDIRECT, 0]], hostile.rawRing(hostile.control)),
    '2.7.5.3.2',
  ),
  control('event-loop', 'ignored', (hostile) => loop(hostile, hostile.events), '5.6.6.3'),
];
