/** Attacks through CDBs and parameter lists (SPC-4, SBC-3); none of them changes what is on the disk. */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import { OPCODE, SERVICE_ACTION } from '../../scsi/opcode.ts';
import { SCSI_CONFIG } from '../../virtio/scsi/config.ts';
import type { Hostile } from './hostile.ts';
import type { HostileCommand } from './scsi-slot.ts';
import { DEVICE, type VirtioAttack } from './virtio-attack.ts';

const be16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)];
const ONES_64 = [...be32(0xffff_ffff), ...be32(0xffff_ffff)];

interface ScsiMore {
  cves?: readonly string[];
  /** Answers an outcome that the command's own answer does not tell. */
  check?: (hostile: Hostile) => AttackOutcome | undefined;
}

const scsi = (
  id: string,
  expects: AttackOutcome,
  source: string,
  run: (hostile: Hostile) => void,
  { cves = [], check }: ScsiMore = {},
): VirtioAttack => ({
  id,
  group: 'request',
  deviceId: DEVICE.scsi,
  expects,
  source,
  cves,
  run: (hostile) => {
    run(hostile);
    return check?.(hostile);
  },
});

/** One command and its answer. */
const command = (
  id: string,
  expects: AttackOutcome,
  source: string,
  cdb: readonly number[],
  more: HostileCommand & ScsiMore = {},
): VirtioAttack => scsi(id, expects, source, (hostile) => hostile.command(cdb, more), more);

/** UNMAP's parameter list (SBC-3, 5.28): `count` descriptors of one block at `lba`, and a length that may lie. */
function unmapList(count: number, lba: number, claimed = count): Uint8Array {
  const bytes = new Uint8Array(8 + 16 * count);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.min(0xffff, 6 + 16 * claimed));
  view.setUint16(2, Math.min(0xffff, 16 * claimed));
  for (let i = 0; i < count; i++) {
    view.setUint32(8 + 16 * i + 4, lba);
    view.setUint32(8 + 16 * i + 8, 1);
  }
  return bytes;
}
const unmap = (list: Uint8Array): readonly number[] => [
  OPCODE.unmap,
  0,
  0,
  0,
  0,
  0,
  0,
  ...be16(list.length),
  0,
];

/** Bytes behind those that a command may write, which stay as they are. */
const CANARY = 0xa5;
const GUARD = 64;

/** A command that must write `allowed` bytes at most, into a buffer that has room for more. */
const bounded = (
  id: string,
  source: string,
  cdb: readonly number[],
  allowed: number,
  cves: readonly string[] = [],
  diskOnly = false,
): VirtioAttack => ({
  ...scsi(id, 'served', source, () => undefined, { cves }),
  diskOnly,
  run: (hostile) => {
    const { memory, data } = hostile;
    memory.write(data, new Uint8Array(allowed + GUARD).fill(CANARY));
    hostile.command(cdb, { into: allowed + GUARD });
    const behind = new Uint8Array(GUARD);
    memory.read(data + allowed, behind);
    return behind.every((byte) => byte === CANARY) ? undefined : 'error';
  },
});

const HUGE = unmapList(300, 0);
const LYING = unmapList(1, 0, 0xfff);
const PAST = unmapList(1, 0xffff_ffff);
/** MODE SELECT's parameter list (SPC-4, 6.11): no page, one block descriptor with blocks of 256 bytes. */
const SMALL_BLOCKS = Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0);

export const SCSI_ATTACKS: readonly VirtioAttack[] = [
  command('scsi-opcode', 'error', 'SPC-4, 4.2.5.1', [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  command('scsi-past-capacity', 'error', 'SBC-3, 5.11', [OPCODE.read16, 0, ...ONES_64, ...be32(1), 0, 0], {
    into: 512,
  }),
  command('scsi-transfer-huge', 'error', 'virtio 1.2, 5.6.6.1', [
    OPCODE.read12,
    0,
    ...be32(0),
    ...be32(0xffff_ffff),
    0,
    0,
  ]),
  command(
    'scsi-wrong-way',
    'error',
    'virtio 1.2, 5.6.6.1',
    [OPCODE.read10, 0, ...be32(0), 0, ...be16(1), 0],
    { out: new Uint8Array(512) },
  ),
  command(
    'scsi-both-ways',
    'error',
    'virtio 1.2, 5.6.6.1',
    [OPCODE.read10, 0, ...be32(0), 0, ...be16(1), 0],
    { out: new Uint8Array(512), into: 512 },
  ),
  scsi(
    'scsi-cdb-short',
    'error',
    'SPC-4, 4.2.5.1',
    (hostile) => {
      hostile.write('config', 4, 6, SCSI_CONFIG.cdbSize);
      // The transfer length stands behind the six bytes that the device may look at.
      hostile.command([OPCODE.read16, 0, ...be32(0), ...be32(0), ...be32(1), 0, 0], { into: 512 });
    },
    { cves: ['CVE-2016-5126'] },
  ),
  command(
    'scsi-lba-status',
    'error',
    'SBC-3, 5.5',
    [OPCODE.serviceActionIn16, SERVICE_ACTION.getLbaStatus, ...ONES_64, ...be32(24), 0, 0],
    { into: 24, cves: ['CVE-2020-1711'] },
  ),
  bounded(
    'scsi-lba-status-short',
    'SPC-4, 4.2.5.6',
    [OPCODE.serviceActionIn16, SERVICE_ACTION.getLbaStatus, ...be32(0), ...be32(0), ...be32(9), 0, 0],
    9,
    ['CVE-2020-1711'],
    true,
  ),
  bounded('scsi-allocation', 'SPC-4, 4.2.5.6', [OPCODE.inquiry, 0, 0, ...be16(5), 0], 5),
  command(
    'scsi-write-same',
    'error',
    'SBC-3, 5.45',
    [OPCODE.writeSame16, 0, ...be32(0), ...be32(1), ...be32(0xffff_ffff), 0, 0],
    { out: new Uint8Array(512) },
  ),
  command('scsi-unmap-huge', 'error', 'SBC-3, 5.28', unmap(HUGE), { out: HUGE }),
  command('scsi-unmap-lying', 'error', 'SBC-3, 5.28', unmap(LYING), { out: LYING }),
  command('scsi-unmap-past', 'error', 'SBC-3, 5.28', unmap(PAST), { out: PAST }),
  {
    ...command(
      'scsi-block-size',
      'ignored',
      'SBC-3, 6.5.2',
      [OPCODE.modeSelect6, 0x10, 0, 0, SMALL_BLOCKS.length, 0],
      { out: SMALL_BLOCKS, cves: ['CVE-2023-42467'] },
    ),
    run: (hostile) => {
      hostile.command([OPCODE.modeSelect6, 0x10, 0, 0, SMALL_BLOCKS.length, 0], { out: SMALL_BLOCKS });
      hostile.command([OPCODE.readCapacity10, 0, ...be32(0), 0, 0, 0, 0], { into: 8 });
      const bytes = new Uint8Array(4);
      hostile.memory.read(hostile.data + 4, bytes);
      return new DataView(bytes.buffer).getUint32(0) === hostile.blockSize ? 'ignored' : 'served';
    },
  },
];
