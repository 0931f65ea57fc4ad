/** Arguments of events as text. The words are names of the field (`read`, `EPT_MISCONFIG`), the same in every language. */
import type { ArgFormat } from './registry.ts';
import {
  scsiOpcodeName,
  scsiSenseCodeName,
  scsiStatusName,
  SENSE_KEYS,
  VIRTIO_SCSI_RESPONSES,
  VIRTIO_SCSI_TMFS,
  virtioScsiEventName,
} from './scsi-names.ts';

/** What a request does, as the numbers of Linux's `REQ_OP_*` that matter here. */
export const OPS = ['read', 'write', 'flush', 'discard', 'write-zeroes', 'secure-erase', 'get-id'] as const;
export type Op = (typeof OPS)[number];
export const OP = {
  read: 0,
  write: 1,
  flush: 2,
  discard: 3,
  writeZeroes: 4,
  secureErase: 5,
  getId: 6,
} as const;

/** QAPI `BlockErrorAction`. */
export const ERROR_ACTIONS = ['report', 'ignore', 'stop'] as const;
export type ErrorAction = (typeof ERROR_ACTIONS)[number];

/** Why the guest was left (Intel SDM volume 3, appendix C, by Linux's names). */
export const EXIT_REASONS = [
  'EPT_MISCONFIG',
  'EPT_VIOLATION',
  'IO_INSTRUCTION',
  'EXTERNAL_INTERRUPT',
  'HLT',
  'EOI_INDUCED',
] as const;
export const EXIT = {
  eptMisconfig: 0,
  eptViolation: 1,
  ioInstruction: 2,
  externalInterrupt: 3,
  hlt: 4,
  eoiInduced: 5,
} as const;

/** What lies behind a stretch of a disk (`BlockExtent.kind`). */
export const EXTENT_KINDS = ['data', 'zero', 'unallocated', 'special'] as const;

/** virtio 1.2, section 5.2.6: request types. */
const BLK_TYPES = new Map([
  [0, 'IN'],
  [1, 'OUT'],
  [4, 'FLUSH'],
  [8, 'GET_ID'],
  [10, 'GET_LIFETIME'],
  [11, 'DISCARD'],
  [13, 'WRITE_ZEROES'],
  [14, 'SECURE_ERASE'],
]);
const BLK_STATUS = ['OK', 'IOERR', 'UNSUPP'];
/** virtio 1.2, section 2.1: device status field. */
const DEVICE_STATUS: readonly (readonly [number, string])[] = [
  [1, 'ACKNOWLEDGE'],
  [2, 'DRIVER'],
  [4, 'DRIVER_OK'],
  [8, 'FEATURES_OK'],
  [64, 'DEVICE_NEEDS_RESET'],
  [128, 'FAILED'],
];

/** ATA/ATAPI-7, section 7: the task file, as it is read and (from 8 on) as it is written. */
const ATA_REGISTERS = (
  'Data,Error,Sector Count,Sector Number,Cylinder Low,Cylinder High,Device/Head,Status,' +
  'Data,Features,Sector Count,Sector Number,Cylinder Low,Cylinder High,Device/Head,Command'
).split(',');
/** ACS-2, table B.2: what drivers of disks and CD-ROMs send. */
const ATA_COMMANDS = new Map([
  [0x06, 'DATA SET MANAGEMENT'],
  [0x08, 'DEVICE RESET'],
  [0x10, 'RECALIBRATE'],
  [0x20, 'READ SECTORS'],
  [0x24, 'READ SECTORS EXT'],
  [0x25, 'READ DMA EXT'],
  [0x27, 'READ NATIVE MAX ADDRESS EXT'],
  [0x29, 'READ MULTIPLE EXT'],
  [0x30, 'WRITE SECTORS'],
  [0x34, 'WRITE SECTORS EXT'],
  [0x35, 'WRITE DMA EXT'],
  [0x39, 'WRITE MULTIPLE EXT'],
  [0x40, 'READ VERIFY SECTORS'],
  [0x42, 'READ VERIFY SECTORS EXT'],
  [0x60, 'READ FPDMA QUEUED'],
  [0x61, 'WRITE FPDMA QUEUED'],
  [0x70, 'SEEK'],
  [0x90, 'EXECUTE DEVICE DIAGNOSTIC'],
  [0x91, 'INITIALIZE DEVICE PARAMETERS'],
  [0xa0, 'PACKET'],
  [0xa1, 'IDENTIFY PACKET DEVICE'],
  [0xb0, 'SMART'],
  [0xc4, 'READ MULTIPLE'],
  [0xc5, 'WRITE MULTIPLE'],
  [0xc6, 'SET MULTIPLE MODE'],
  [0xc8, 'READ DMA'],
  [0xca, 'WRITE DMA'],
  [0xe0, 'STANDBY IMMEDIATE'],
  [0xe1, 'IDLE IMMEDIATE'],
  [0xe2, 'STANDBY'],
  [0xe3, 'IDLE'],
  [0xe5, 'CHECK POWER MODE'],
  [0xe6, 'SLEEP'],
  [0xe7, 'FLUSH CACHE'],
  [0xea, 'FLUSH CACHE EXT'],
  [0xec, 'IDENTIFY DEVICE'],
  [0xef, 'SET FEATURES'],
  [0xf8, 'READ NATIVE MAX ADDRESS'],
]);
const ATA_DMA = ['DMA READ', 'DMA WRITE', 'DMA TRIM', 'DMA ATAPI'];
/** AHCI 1.3.1, section 3.1: registers of the controller by their offset in words. */
const HBA_REGISTERS = 'CAP GHC IS PI VS CCC_CTL CCC_PORTS EM_LOC EM_CTL CAP2 BOHC'.split(' ');
/** AHCI 1.3.1, section 3.3: registers of one port. */
const AHCI_REGISTERS = (
  'PxCLB PxCLBU PxFB PxFBU PxIS PxIE PxCMD reserved PxTFD PxSIG PxSSTS PxSCTL PxSERR PxSACT PxCI ' +
  'PxSNTF PxFBS PxDEVSLP'
).split(' ');

const hex = (value: number): string => `0x${value.toString(16)}`;

/** One argument as text, without its unit. */
export function formatArg(format: ArgFormat, value: number): string {
  switch (format) {
    case 'hex':
    case 'address':
      return hex(value);
    case 'signed':
      return String(value | 0);
    case 'bool':
      return value === 0 ? 'no' : 'yes';
    case 'error-action':
      return ERROR_ACTIONS[value] ?? String(value);
    case 'op':
      return OPS[value] ?? String(value);
    case 'exit':
      return EXIT_REASONS[value] ?? String(value);
    case 'extent':
      return EXTENT_KINDS[value] ?? String(value);
    case 'blk-type':
      return BLK_TYPES.get(value) ?? hex(value);
    case 'blk-status':
      return BLK_STATUS[value] ?? String(value);
    case 'scsi-op':
      return scsiOpcodeName(value);
    case 'scsi-status':
      return scsiStatusName(value);
    case 'scsi-response':
      return VIRTIO_SCSI_RESPONSES[value] ?? String(value);
    case 'scsi-tmf':
      return VIRTIO_SCSI_TMFS[value] ?? String(value);
    case 'scsi-event':
      return virtioScsiEventName(value);
    case 'sense-key':
      return SENSE_KEYS[value] ?? String(value);
    case 'sense-code':
      return scsiSenseCodeName(value);
    case 'device-status': {
      const names = DEVICE_STATUS.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
      return names.length === 0 ? '0' : names.join('|');
    }
    case 'ata-register':
      return ATA_REGISTERS[value] ?? hex(value);
    case 'ata-command':
      return ATA_COMMANDS.get(value) ?? hex(value);
    case 'ata-dma':
      return ATA_DMA[value] ?? String(value);
    case 'hba-register':
      return HBA_REGISTERS[value] ?? hex(value * 4);
    case 'ahci-register':
      return AHCI_REGISTERS[value] ?? hex(value * 4);
    default:
      return String(value);
  }
}
