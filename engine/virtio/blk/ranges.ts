/**
 * Requests that name a range instead of bringing data: discard, write zeroes, secure erase (virtio 1.2, section 5.2.6.2). The first two
 * are judged in QEMU's order (hw/block/virtio-blk.c, `virtio_blk_handle_discard_write_zeroes`); the third is no request of QEMU's.
 */
import { OP } from '../../trace/format.ts';
import { eraseAlignment } from './config.ts';
import type { BlkProperties } from './options.ts';
import { BLK_S, BLK_T, SECTOR, SEGMENT_UNMAP } from './protocol.ts';

/** One `struct virtio_blk_discard_write_zeroes` as it was copied. */
export interface Range {
  sector: number;
  sectors: number;
  flags: number;
}

/** What a request of one type may ask for, and what becomes of it. */
export interface RangeRule {
  /** One of `OP`. */
  op: number;
  /** Most sectors of one request. */
  maxSectors: number;
  /** Sectors on whose multiples a range begins and ends; only the disk's own end may lie between. */
  alignment: number;
  /** Flags that mean something. */
  flags: number;
  /** Flags that nobody knows are refused before anything else is looked at, as section 5.2.6.2 has it; QEMU looks at the range first. */
  flagsFirst: boolean;
}

/** The rules of request type `type`; undefined when the device does not take it. `secureErase`: it was negotiated. */
export function rangeRule(
  type: number,
  properties: BlkProperties,
  secureErase: boolean,
): RangeRule | undefined {
  const block = properties.logicalBlockSize / SECTOR;
  const asQemu = { alignment: block, flagsFirst: false };
  switch (type) {
    case BLK_T.discard:
      if (!properties.discard) return undefined;
      return { ...asQemu, op: OP.discard, maxSectors: properties.maxDiscardSectors, flags: 0 };
    case BLK_T.writeZeroes:
      if (!properties.writeZeroes) return undefined;
      return {
        ...asQemu,
        op: OP.writeZeroes,
        maxSectors: properties.maxWriteZeroesSectors,
        flags: SEGMENT_UNMAP,
      };
    case BLK_T.secureErase:
      if (!secureErase) return undefined;
      return {
        op: OP.secureErase,
        maxSectors: properties.maxSecureEraseSectors,
        alignment: eraseAlignment(properties),
        flags: 0,
        flagsFirst: true,
      };
    default:
      return undefined;
  }
}

/** The status that a range is refused with, or `BLK_S.ok`. `capacity`: sectors of the disk. */
export function judgeRange(rule: RangeRule, { sector, sectors, flags }: Range, capacity: number): number {
  const unknown = (flags & ~rule.flags) !== 0;
  if (rule.flagsFirst && unknown) return BLK_S.unsupp;
  const { alignment } = rule;
  const inside = sector <= capacity && sectors <= capacity - sector;
  if (sectors > rule.maxSectors || !inside || sector % alignment !== 0) return BLK_S.ioerr;
  const toTheEnd = rule.op === OP.secureErase && sector + sectors === capacity;
  if (sectors % alignment !== 0 && !toTheEnd) return BLK_S.ioerr;
  return unknown ? BLK_S.unsupp : BLK_S.ok;
}
