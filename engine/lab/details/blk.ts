/** virtio-blk: its configuration space, and what the buffers of one request say (virtio 1.2, sections 5.2.4 and 5.2.6). */
import type { DetailField } from '#contract/lab-details.ts';
import { formatArg } from '../../trace/format.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { BLK_CONFIG } from '../../virtio/blk/config.ts';
import { HEADER_SIZE } from '../../virtio/blk/protocol.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { F } from '../../virtio/features.ts';
import type { ChainBuffer } from './chain.ts';
import type { RegisterMap } from './registers.ts';
import { field, type FieldOptions, type Section } from './section.ts';

interface ConfigField {
  name: string;
  offset: number;
  bytes: 1 | 2 | 4 | 8;
  /** The feature without which it means nothing. */
  feature?: number;
  as?: FieldOptions['as'];
}

const FIELDS: readonly ConfigField[] = [
  { name: 'capacity', offset: BLK_CONFIG.capacity, bytes: 8, as: 'count' },
  { name: 'size_max', offset: BLK_CONFIG.sizeMax, bytes: 4, feature: F.BLK_SIZE_MAX, as: 'bytes' },
  { name: 'seg_max', offset: BLK_CONFIG.segMax, bytes: 4, feature: F.BLK_SEG_MAX, as: 'count' },
  { name: 'cylinders', offset: BLK_CONFIG.cylinders, bytes: 2, feature: F.BLK_GEOMETRY, as: 'count' },
  { name: 'heads', offset: BLK_CONFIG.heads, bytes: 1, feature: F.BLK_GEOMETRY, as: 'count' },
  { name: 'sectors', offset: BLK_CONFIG.sectors, bytes: 1, feature: F.BLK_GEOMETRY, as: 'count' },
  { name: 'blk_size', offset: BLK_CONFIG.blkSize, bytes: 4, feature: F.BLK_BLK_SIZE, as: 'bytes' },
  { name: 'physical_block_exp', offset: BLK_CONFIG.physicalBlockExp, bytes: 1, feature: F.BLK_TOPOLOGY },
  { name: 'alignment_offset', offset: BLK_CONFIG.alignmentOffset, bytes: 1, feature: F.BLK_TOPOLOGY },
  { name: 'min_io_size', offset: BLK_CONFIG.minIoSize, bytes: 2, feature: F.BLK_TOPOLOGY },
  { name: 'opt_io_size', offset: BLK_CONFIG.optIoSize, bytes: 4, feature: F.BLK_TOPOLOGY },
  { name: 'writeback', offset: BLK_CONFIG.writeback, bytes: 1, feature: F.BLK_CONFIG_WCE },
  { name: 'num_queues', offset: BLK_CONFIG.numQueues, bytes: 2, feature: F.BLK_MQ, as: 'count' },
  { name: 'max_discard_sectors', offset: BLK_CONFIG.maxDiscardSectors, bytes: 4, feature: F.BLK_DISCARD },
  { name: 'max_discard_seg', offset: BLK_CONFIG.maxDiscardSeg, bytes: 4, feature: F.BLK_DISCARD },
  {
    name: 'discard_sector_alignment',
    offset: BLK_CONFIG.discardSectorAlignment,
    bytes: 4,
    feature: F.BLK_DISCARD,
  },
  {
    name: 'max_write_zeroes_sectors',
    offset: BLK_CONFIG.maxWriteZeroesSectors,
    bytes: 4,
    feature: F.BLK_WRITE_ZEROES,
  },
  {
    name: 'max_write_zeroes_seg',
    offset: BLK_CONFIG.maxWriteZeroesSeg,
    bytes: 4,
    feature: F.BLK_WRITE_ZEROES,
  },
  {
    name: 'write_zeroes_may_unmap',
    offset: BLK_CONFIG.writeZeroesMayUnmap,
    bytes: 1,
    feature: F.BLK_WRITE_ZEROES,
  },
  {
    name: 'max_secure_erase_sectors',
    offset: BLK_CONFIG.maxSecureEraseSectors,
    bytes: 4,
    feature: F.BLK_SECURE_ERASE,
  },
  {
    name: 'max_secure_erase_seg',
    offset: BLK_CONFIG.maxSecureEraseSeg,
    bytes: 4,
    feature: F.BLK_SECURE_ERASE,
  },
  {
    name: 'secure_erase_sector_alignment',
    offset: BLK_CONFIG.secureEraseSectorAlignment,
    bytes: 4,
    feature: F.BLK_SECURE_ERASE,
  },
];

function readConfig(device: VirtioDevice, offset: number, bytes: 1 | 2 | 4 | 8): number {
  if (bytes !== 8) return device.readConfig(offset, bytes);
  return device.readConfig(offset, 4) + device.readConfig(offset + 4, 4) * 0x1_0000_0000;
}

export function blkConfigSection(device: VirtioDevice, registers: RegisterMap): Section {
  return {
    id: 'config',
    key: 'config.blk',
    text: '',
    fields: () =>
      FIELDS.filter(({ offset, bytes }) => offset + bytes <= device.configSize).map((entry) => {
        const { name, offset, bytes, feature, as } = entry;
        const valid = feature === undefined || device.has(feature);
        return field(name, `blk.${name}`, readConfig(device, offset, bytes), bytes, {
          as,
          source: 'virtio 1.2, 5.2.4',
          place: registers.place('config', offset),
          tone: valid ? 'plain' : 'off',
        });
      }),
  };
}

/** Header, data and status of a request out of its chain's buffers. */
export function blkRequestFields(
  memory: GuestMemory,
  buffers: readonly ChainBuffer[],
  request: number,
): DetailField[] {
  const source = 'virtio 1.2, 5.2.6';
  const row = { level: 2, source, request };
  const rows: DetailField[] = [];
  const header = buffers[0];
  if (header !== undefined && !header.writable && header.length >= HEADER_SIZE) {
    const at = memory.locate(header.address, HEADER_SIZE);
    if (at >= 0) {
      const type = memory.view.getUint32(at, true);
      const sector =
        memory.view.getUint32(at + 8, true) + memory.view.getUint32(at + 12, true) * 0x1_0000_0000;
      const place = (offset: number) => ({ space: 'memory', address: header.address + offset }) as const;
      rows.push(
        field('type', 'blk.type', type, 4, { ...row, place: place(0), text: formatArg('blk-type', type) }),
        field('sector', 'blk.sector', sector, 8, { ...row, as: 'count', place: place(8) }),
      );
    }
  }
  const last = buffers.at(-1);
  if (last !== undefined && last.writable && last.length > 0) {
    const address = last.address + last.length - 1;
    const at = memory.locate(address, 1);
    if (at >= 0) {
      const status = memory.bytes[at];
      rows.push(
        field('status', 'blk.status', status, 1, {
          ...row,
          place: { space: 'memory', address },
          text: status === 0xff ? 'not answered yet' : formatArg('blk-status', status),
          tone: status === 1 || status === 2 ? 'bad' : 'plain',
        }),
      );
    }
  }
  return rows;
}
