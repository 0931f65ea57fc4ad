/** An IDE channel: the task file of the drive that is selected, device control, the bus master and its table of descriptors. */
import type { DetailField } from '#contract/lab-details.ts';
import { addressOf } from '../../ide/address.ts';
import { CMD, CONTROL, DEVICE, REASON, STATUS } from '../../ide/ata.ts';
import { BM, BM_COMMAND, BM_STATUS, PRD_END, type BusMaster } from '../../ide/bus-master.ts';
import { REGISTER, type IdeChannel } from '../../ide/channel.ts';
import type { IdeDrive } from '../../ide/drive.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { identitySection } from './identity.ts';
import { SENSE_KEYS } from '../../trace/scsi-names.ts';
import { bitFields, field, type BitName, type Section } from './section.ts';

const TASK_FILE = 'ATA/ATAPI-7 volume 2, 5.2';
const PACKET = 'ATA/ATAPI-7 volume 1, 6.35';
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
const PACKET_ERROR_BITS: readonly BitName[] = [
  { bit: 2, name: 'ABRT', meaning: 'ide.error.abrt', bad: true },
  { bit: 1, name: 'EOM', meaning: 'ide.packet.eom', bad: true },
  { bit: 0, name: 'ILI', meaning: 'ide.packet.ili', bad: true },
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

/**
 * What stands between error and device of a packet device: the same registers have other meanings there (ATA/ATAPI-7 volume 1, section
 * 6.35, PACKET).
 */
function packetRegisters({ channel: { drive }, command }: IdeChannelParts): DetailField[] {
  const at = (register: number) =>
    ({ place: { space: 'port', port: command + register }, source: PACKET }) as const;
  const key = drive.error >> 4;
  const count = (drive.lbaHigh << 8) | drive.lbaMid;
  return [
    field('7:4 Sense Key', 'ide.packet.sense-key', key, 0, {
      ...at(REGISTER.error),
      level: 1,
      as: 'count',
      text: SENSE_KEYS[key] ?? '',
      tone: key === 0 ? 'off' : 'bad',
    }),
    ...bitFields(drive.error, PACKET_ERROR_BITS, at(REGISTER.error)),
    field('Features', 'ide.packet.features', drive.feature, 1, at(REGISTER.error)),
    ...bitFields(
      drive.feature,
      [{ bit: 0, name: 'DMA', meaning: 'ide.packet.features.dma' }],
      at(REGISTER.error),
    ),
    field('Interrupt Reason', 'ide.packet.reason', drive.count & 0xff, 1, at(REGISTER.count)),
    ...bitFields(
      drive.count,
      [
        { bit: Math.log2(REASON.toHost), name: 'I/O', meaning: 'ide.packet.reason.io' },
        { bit: Math.log2(REASON.command), name: 'C/D', meaning: 'ide.packet.reason.cd' },
      ],
      at(REGISTER.count),
    ),
    field('LBA Low', 'ide.packet.unused', drive.lbaLow, 1, at(REGISTER.lbaLow)),
    field('Byte Count Low', 'ide.packet.bytes', drive.lbaMid, 1, {
      ...at(REGISTER.lbaMid),
      text: `${count} B`,
    }),
    field('Byte Count High', 'ide.packet.bytes', drive.lbaHigh, 1, at(REGISTER.lbaHigh)),
    field('Device', 'ide.packet.device', drive.device, 1, {
      ...at(REGISTER.device),
      text: `drive ${drive.unit}`,
    }),
  ];
}

/** The registers by which a disk is addressed. */
function diskRegisters({ channel: { drive }, command }: IdeChannelParts): DetailField[] {
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
  const lba = (drive.device & DEVICE.lba) !== 0;
  return [
    ...bitFields(drive.error, ERROR_BITS, at(REGISTER.error)),
    ...row('Features', 'ide.features', REGISTER.error, drive.feature, previous.feature),
    ...row('Sector Count', 'ide.count', REGISTER.count, drive.count, previous.count),
    ...row('LBA Low', 'ide.lba-low', REGISTER.lbaLow, drive.lbaLow, previous.lbaLow),
    ...row('LBA Mid', 'ide.lba-mid', REGISTER.lbaMid, drive.lbaMid, previous.lbaMid),
    ...row('LBA High', 'ide.lba-high', REGISTER.lbaHigh, drive.lbaHigh, previous.lbaHigh),
    field('Device', 'ide.device', drive.device, 1, {
      ...at(REGISTER.device),
      text: `drive ${drive.unit}${lba ? ', LBA' : ', CHS'}`,
    }),
    field('LBA', 'ide.lba', lba ? addressOf(drive) : null, 0, {
      as: 'count',
      level: 1,
      source: TASK_FILE,
      place: { space: 'device' },
      text: lba ? (drive.lba48 ? '48-bit' : '28-bit') : '',
      tone: lba ? 'plain' : 'off',
    }),
  ];
}

function taskFile(parts: IdeChannelParts): DetailField[] {
  const { channel, command, control } = parts;
  const { drive } = channel;
  const at = (register: number) =>
    ({ place: { space: 'port', port: command + register }, source: TASK_FILE }) as const;
  return [
    field('Status', 'ide.status', drive.status, 1, at(REGISTER.status)),
    ...bitFields(drive.status, STATUS_BITS, at(REGISTER.status)),
    field('Error', 'ide.error', drive.error, 1, {
      ...at(REGISTER.error),
      tone: (drive.status & STATUS.err) !== 0 ? 'bad' : 'off',
    }),
    ...(drive.isCd ? packetRegisters(parts) : diskRegisters(parts)),
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
