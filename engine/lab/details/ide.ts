/** An IDE channel: the task file of the drive that is selected, device control, the bus master and its table of descriptors. */
import type { DetailField } from '#contract/lab-details.ts';
import { CMD, CONTROL, DEVICE, STATUS } from '../../ide/ata.ts';
import { BM, BM_COMMAND, BM_STATUS, PRD_END, type BusMaster } from '../../ide/bus-master.ts';
import { REGISTER, type IdeChannel } from '../../ide/channel.ts';
import type { IdeDrive } from '../../ide/drive.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { identitySection } from './identity.ts';
import { bitFields, field, type BitName, type Section } from './section.ts';

const TASK_FILE = 'ATA/ATAPI-7 volume 2, 5.2';
const BUS_MASTER = 'Bus Master IDE 1.0, 2';
export const STATUS_BITS: readonly BitName[] = [
  { bit: 7, name: 'BSY', meaning: 'ide.status.bsy' },
  { bit: 6, name: 'DRDY', meaning: 'ide.status.drdy' },
  { bit: 5, name: 'DF', meaning: 'ide.status.df', bad: true },
  { bit: 4, name: 'DSC', meaning: 'ide.status.dsc' },
  { bit: 3, name: 'DRQ', meaning: 'ide.status.drq' },
  { bit: 0, name: 'ERR', meaning: 'ide.status.err', bad: true },
];
export const ERROR_BITS: readonly BitName[] = [
  { bit: 6, name: 'UNC', meaning: 'ide.error.unc', bad: true },
  { bit: 4, name: 'IDNF', meaning: 'ide.error.idnf', bad: true },
  { bit: 2, name: 'ABRT', meaning: 'ide.error.abrt', bad: true },
];
/** Descriptors of a table that are shown. */
const PRDS = 64;

/** Names of the commands as ata.ts writes them: `readDmaExt` is READ DMA EXT. */
const COMMANDS = new Map<number, string>(
  Object.entries(CMD).map(([name, code]) => [code, name.replace(/([A-Z])/g, ' $1').toUpperCase()]),
);
export const ideCommandName = (code: number): string => COMMANDS.get(code) ?? '';

export interface IdeChannelParts {
  channel: IdeChannel;
  /** First port of the command block, and the port of device control. */
  command: number;
  control: number;
  /** The bus master, and the first port of the channel's half of it. */
  master: BusMaster;
  masterPort: number;
  memory: GuestMemory;
  /** The disk that is looked at. */
  drive: IdeDrive;
}

function taskFile({ channel, command, control }: IdeChannelParts): DetailField[] {
  const { drive } = channel;
  const at = (register: number) =>
    ({ place: { space: 'port', port: command + register }, source: TASK_FILE }) as const;
  const row = (
    name: string,
    meaning: string,
    register: number,
    value: number,
    before: number,
  ): DetailField[] => [
    field(name, meaning, value & 0xff, 1, at(register)),
    ...(drive.lba48
      ? [field(`${name} (previous)`, 'ide.previous', before, 1, { ...at(register), level: 1 })]
      : []),
  ];
  const { previous } = drive;
  const address = drive.lba48
    ? drive.lbaLow +
      drive.lbaMid * 2 ** 8 +
      drive.lbaHigh * 2 ** 16 +
      previous.lbaLow * 2 ** 24 +
      previous.lbaMid * 2 ** 32 +
      previous.lbaHigh * 2 ** 40
    : drive.lbaLow + drive.lbaMid * 2 ** 8 + drive.lbaHigh * 2 ** 16 + (drive.device & DEVICE.head) * 2 ** 24;
  return [
    field('Status', 'ide.status', drive.status, 1, at(REGISTER.status)),
    ...bitFields(drive.status, STATUS_BITS, at(REGISTER.status)),
    field('Error', 'ide.error', drive.error, 1, {
      ...at(REGISTER.error),
      tone: (drive.status & STATUS.err) !== 0 ? 'bad' : 'off',
    }),
    ...bitFields(drive.error, ERROR_BITS, at(REGISTER.error)),
    ...row('Features', 'ide.features', REGISTER.error, drive.feature, previous.feature),
    ...row('Sector Count', 'ide.count', REGISTER.count, drive.count, previous.count),
    ...row('LBA Low', 'ide.lba-low', REGISTER.lbaLow, drive.lbaLow, previous.lbaLow),
    ...row('LBA Mid', 'ide.lba-mid', REGISTER.lbaMid, drive.lbaMid, previous.lbaMid),
    ...row('LBA High', 'ide.lba-high', REGISTER.lbaHigh, drive.lbaHigh, previous.lbaHigh),
    field('Device', 'ide.device', drive.device, 1, {
      ...at(REGISTER.device),
      text: `drive ${drive.unit}${(drive.device & DEVICE.lba) !== 0 ? ', LBA' : ', CHS'}`,
    }),
    field('LBA', 'ide.lba', address, 0, {
      as: 'count',
      level: 1,
      source: TASK_FILE,
      place: { space: 'device' },
      text: drive.lba48 ? '48-bit' : '28-bit',
      tone: (drive.device & DEVICE.lba) !== 0 ? 'plain' : 'off',
    }),
    field('Device Control', 'ide.control', channel.control, 1, {
      place: { space: 'port', port: control },
      source: TASK_FILE,
    }),
    ...bitFields(
      channel.control,
      [
        { bit: Math.log2(CONTROL.nien), name: 'nIEN', meaning: 'ide.control.nien' },
        { bit: Math.log2(CONTROL.srst), name: 'SRST', meaning: 'ide.control.srst' },
        { bit: Math.log2(CONTROL.hob), name: 'HOB', meaning: 'ide.control.hob' },
      ],
      { place: { space: 'port', port: control }, source: TASK_FILE },
    ),
  ];
}

function busMaster({ master, masterPort, memory }: IdeChannelParts): DetailField[] {
  const at = (offset: number) =>
    ({ place: { space: 'port', port: masterPort + offset }, source: BUS_MASTER }) as const;
  const rows = [
    field('Command', 'ide.bm.command', master.command, 1, at(BM.command)),
    ...bitFields(
      master.command,
      [
        { bit: Math.log2(BM_COMMAND.start), name: 'Start', meaning: 'ide.bm.start' },
        { bit: Math.log2(BM_COMMAND.toMemory), name: 'Write to memory', meaning: 'ide.bm.direction' },
      ],
      at(BM.command),
    ),
    field('Status', 'ide.bm.status', master.status, 1, at(BM.status)),
    ...bitFields(
      master.status,
      [
        { bit: Math.log2(BM_STATUS.active), name: 'Active', meaning: 'ide.bm.active' },
        { bit: Math.log2(BM_STATUS.error), name: 'Error', meaning: 'ide.bm.error', bad: true },
        { bit: Math.log2(BM_STATUS.interrupt), name: 'Interrupt', meaning: 'ide.bm.interrupt' },
      ],
      at(BM.status),
    ),
    field('Descriptor Table Pointer', 'ide.bm.table', master.table, 4, at(BM.table)),
  ];
  for (let index = 0; index < PRDS && master.table !== 0; index++) {
    const address = master.table + index * 8;
    const offset = memory.locate(address, 8);
    if (offset < 0) break;
    const base = memory.view.getUint32(offset, true);
    const word = memory.view.getUint32(offset + 4, true);
    const end = (word & PRD_END) !== 0;
    rows.push(
      field(`PRD ${index}`, 'ide.bm.prd', base, 4, {
        level: 1,
        source: BUS_MASTER,
        place: { space: 'memory', address },
        text: `${(word & 0xffff) === 0 ? 65536 : word & 0xffff} B${end ? ', EOT' : ''}`,
      }),
    );
    if (end) break;
  }
  return rows;
}

/** Task file and bus master of one channel. */
export function ideSections(parts: IdeChannelParts): Section[] {
  return [
    { id: 'task-file', key: 'task-file', text: '', fields: () => taskFile(parts) },
    { id: 'bus-master', key: 'bus-master', text: '', fields: () => busMaster(parts) },
    identitySection(parts.drive),
  ];
}
