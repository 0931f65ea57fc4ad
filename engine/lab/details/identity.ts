/** What a drive says of itself: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-7 volume 1, sections 6.17 and 6.18). */
import type { DetailField } from '#contract/lab-details.ts';
import { SECTOR } from '../../ide/ata.ts';
import { identifyDisk, identifyPacket } from '../../ide/identify.ts';
import type { IdeDrive } from '../../ide/drive.ts';
import { field, type FieldOptions, type Section } from './section.ts';

/** Word 49: the drive takes addresses as LBA. Word 83: it has commands with 48 bits of address. Word 76: a native queue. */
const LBA48 = 1 << 10;
const NCQ = 1 << 8;
const ULTRA_DMA_MODES = 7;

function fields(drive: IdeDrive): DetailField[] {
  const page = drive.identity ?? (drive.isCd ? identifyPacket(drive) : identifyDisk(drive));
  const view = new DataView(page.buffer, page.byteOffset, SECTOR);
  const word = (index: number): number => view.getUint16(index * 2, true);
  const text = (index: number, words: number): string =>
    Array.from({ length: words * 2 }, (_, i) => String.fromCharCode(page[(index * 2 + i) ^ 1]))
      .join('')
      .trimEnd();
  const at = (words: string, more: FieldOptions = {}): FieldOptions => ({
    source: `ATA/ATAPI-7 volume 1, ${drive.isCd ? '6.18' : '6.17'}, ${words}`,
    place: { space: 'device' },
    ...more,
  });
  const count = (more: FieldOptions = {}): FieldOptions => ({ as: 'count', ...more });
  const udma = word(88);
  const modes = Array.from({ length: ULTRA_DMA_MODES }, (_, mode) => mode);
  const chosen = modes.findLast((mode) => (udma & (1 << (8 + mode))) !== 0);
  const rows = [
    field('Model number', 'ide.id.model', null, 40, at('words 27–46', { text: text(27, 20) })),
    field('Serial number', 'ide.id.serial', null, 20, at('words 10–19', { text: text(10, 10) })),
    field('Firmware revision', 'ide.id.firmware', null, 8, at('words 23–26', { text: text(23, 4) })),
    field('General configuration', 'ide.id.configuration', word(0), 2, at('word 0')),
    field(
      'Ultra DMA',
      'ide.id.udma',
      udma,
      2,
      at('word 88', { text: chosen === undefined ? '' : `mode ${chosen}` }),
    ),
  ];
  if (drive.isCd) return rows;
  const lba28 = word(60) + word(61) * 2 ** 16;
  const lba48 = word(100) + word(101) * 2 ** 16 + word(102) * 2 ** 32 + word(103) * 2 ** 48;
  const queue = (word(76) & NCQ) === 0 ? 0 : (word(75) & 31) + 1;
  return [
    ...rows,
    field('Cylinders', 'ide.id.geometry', word(1), 2, at('word 1', count())),
    field('Heads', 'ide.id.geometry', word(3), 2, at('word 3', count())),
    field('Sectors per track', 'ide.id.geometry', word(6), 2, at('word 6', count())),
    field('Sectors, LBA28', 'ide.id.lba28', lba28, 4, at('words 60–61', count())),
    ...((word(83) & LBA48) === 0
      ? []
      : [field('Sectors, LBA48', 'ide.id.lba48', lba48, 8, at('words 100–103', count()))]),
    field('READ/WRITE MULTIPLE', 'ide.id.multiple', word(59) & 0xff, 2, at('word 59', count())),
    field('Queue depth', 'ide.id.queue', queue, 2, at('word 75', count())),
    field('Command sets supported', 'ide.id.supported', word(83), 2, at('word 83')),
    field('Command sets enabled', 'ide.id.enabled', word(85), 2, at('word 85')),
  ];
}

export function identitySection(drive: IdeDrive): Section {
  const key = drive.isCd ? 'identity-packet' : 'identity';
  return { id: 'identity', key, text: '', fields: () => fields(drive) };
}
