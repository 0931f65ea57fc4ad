/** The command list of an AHCI port: the slots in use, each with its header, its FIS in words, and its regions (AHCI 1.3.1, 4.2.2). */
import type { DetailField } from '#contract/lab-details.ts';
import { movedOf, optionsOf, prdsOf, tableOf } from '../../ide/ahci/command-header.ts';
import { isQueued } from '../../ide/ahci/ncq.ts';
import type { AhciPort } from '../../ide/ahci/port.ts';
import { prdAt } from '../../ide/ahci/prdt.ts';
import { FIS, FIS_COMMAND, HEADER, PORT, SLOTS, TABLE } from '../../ide/ahci/registers.ts';
import { ideCommandName } from './ide.ts';
import { bitFields, field, type BitName, type FieldOptions } from './section.ts';

const LIST = 'AHCI 1.3.1, 4.2.2';
const COMMAND_TABLE = 'AHCI 1.3.1, 4.2.3';
const REGISTER_FIS = 'Serial ATA 3.2, 10.5.5';
const OPTION_BITS: readonly BitName[] = [
  { bit: Math.log2(HEADER.clearBusy), name: 'C', meaning: 'ahci.header.c' },
  { bit: 9, name: 'B', meaning: 'ahci.header.b' },
  { bit: 8, name: 'R', meaning: 'ahci.header.r' },
  { bit: 7, name: 'P', meaning: 'ahci.header.p' },
  { bit: Math.log2(HEADER.write), name: 'W', meaning: 'ahci.header.w' },
  { bit: Math.log2(HEADER.atapi), name: 'A', meaning: 'ahci.header.a' },
];
const CFL = 0x1f;
/** Descriptors of one command that are shown. */
const PRDS = 16;

/** The list in guest memory; the slots that software has issued and the drive has not yet answered. */
export function commandSlots(port: AhciPort): DetailField[] {
  const { registers } = port;
  const { list } = port.engines;
  const base = registers.value(PORT.clb) + registers.value(PORT.clbu) * 2 ** 32;
  const used = (registers.ci | registers.sact) >>> 0;
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter(
    (slot) => ((used >>> slot) & 1) === 1,
  );
  const rows = [
    field('command list', 'ahci.list', base, 8, {
      source: LIST,
      place: { space: 'memory', address: base },
      tone: list < 0 ? 'off' : 'on',
    }),
    field('slots in use', 'ahci.slots', slots.length, 0, {
      source: LIST,
      place: { space: 'memory', address: base },
      as: 'count',
      level: 1,
    }),
  ];
  if (list < 0) return rows;
  return [...rows, ...slots.flatMap((slot) => commandSlot(port, slot, base + slot * HEADER.bytes))];
}

function commandSlot(port: AhciPort, slot: number, address: number): DetailField[] {
  const { memory } = port;
  const header = port.engines.list + slot * HEADER.bytes;
  const request = port.requestOf[slot];
  const options = optionsOf(memory, header);
  const prds = prdsOf(memory, header);
  const table = tableOf(memory, header);
  const at = memory.locate(table, TABLE.prdt);
  const command = at < 0 ? '' : commandOf(memory.bytes.subarray(at, at + TABLE.prdt));
  const row = (offset: number): FieldOptions => ({
    level: 1,
    request,
    source: LIST,
    place: { space: 'memory', address: address + offset },
  });
  return [
    field(`slot ${slot}`, 'ahci.slot', options, 2, { ...row(0), level: 0, text: command }),
    ...bitFields(options, OPTION_BITS, row(0)),
    field('4:0 CFL', 'ahci.header.cfl', options & CFL, 0, { ...row(0), as: 'count' }),
    field('PRDTL', 'ahci.header.prdtl', prds, 2, { ...row(HEADER.prdtl), as: 'count' }),
    field('PRDBC', 'ahci.header.prdbc', movedOf(memory, header), 4, { ...row(HEADER.moved), as: 'bytes' }),
    field('CTBA', 'ahci.header.ctba', table, 8, {
      ...row(HEADER.table),
      text: at < 0 ? 'outside' : '',
      tone: at < 0 ? 'bad' : 'plain',
    }),
    ...(at < 0 ? [] : commandFis(memory.bytes.subarray(at, at + TABLE.prdt), table, request)),
    ...regions(port, table, prds, request),
  ];
}

/** The command's name, `SRST` for a FIS that only writes device control. */
function commandOf(fis: Uint8Array): string {
  if (fis[0] !== FIS.hostToDevice) return '';
  if ((fis[1] & FIS_COMMAND) !== 0) return ideCommandName(fis[2]);
  return (fis[15] & 4) === 0 ? '' : 'SRST';
}

function commandFis(fis: Uint8Array, address: number, request: number): DetailField[] {
  const at = (offset: number): FieldOptions => ({
    level: 2,
    request,
    source: REGISTER_FIS,
    place: { space: 'memory', address: address + offset },
  });
  const known = fis[0] === FIS.hostToDevice;
  const head = field('CFIS', 'ahci.cfis', fis[0], 1, {
    ...at(0),
    level: 1,
    text: known ? 'Register - Host to Device' : '',
    tone: known ? 'plain' : 'bad',
  });
  if (!known) return [head];
  const lba =
    fis[4] + fis[5] * 2 ** 8 + fis[6] * 2 ** 16 + fis[8] * 2 ** 24 + fis[9] * 2 ** 32 + fis[10] * 2 ** 40;
  const features = fis[3] | (fis[11] << 8);
  const count = fis[12] | (fis[13] << 8);
  const queued = isQueued(fis[2]);
  const sectors = queued ? features : count;
  return [
    head,
    ...bitFields(fis[1], [{ bit: Math.log2(FIS_COMMAND), name: 'C', meaning: 'ahci.cfis.c' }], {
      ...at(1),
      level: 2,
    }),
    field('Command', 'ahci.cfis.command', fis[2], 1, { ...at(2), text: commandOf(fis) }),
    ...(queued
      ? [
          field('TAG', 'ahci.cfis.tag', fis[12] >> 3, 0, {
            ...at(12),
            as: 'count',
            source: 'Serial ATA 3.2, 13.6',
          }),
        ]
      : [field('Features', 'ide.features', features, 2, at(3))]),
    field('LBA', 'ide.lba', lba, 0, { ...at(4), as: 'count' }),
    field('Device', 'ahci.cfis.device', fis[7], 1, at(7)),
    field('Count', 'ahci.cfis.count', sectors, 2, { ...at(queued ? 3 : 12), as: 'count' }),
  ];
}

function regions({ memory }: AhciPort, table: number, prds: number, request: number): DetailField[] {
  const rows: DetailField[] = [];
  for (let index = 0; index < Math.min(prds, PRDS); index++) {
    const address = table + TABLE.prdt + index * TABLE.prdBytes;
    const at = memory.locate(address, TABLE.prdBytes);
    if (at < 0) break;
    const prd = prdAt(memory, at);
    rows.push(
      field(`PRD ${index}`, 'ahci.prd', prd.address, 8, {
        level: 2,
        request,
        source: COMMAND_TABLE,
        place: { space: 'memory', address },
        text: `${prd.bytes} B`,
      }),
    );
  }
  return rows;
}
