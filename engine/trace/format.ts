/** Arguments of events as text. The words are names of the field (`read`, `EPT_MISCONFIG`), the same in every language. */
import type { ArgFormat } from './registry.ts';

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
    case 'device-status': {
      const names = DEVICE_STATUS.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
      return names.length === 0 ? '0' : names.join('|');
    }
    default:
      return String(value);
  }
}
