/** READ CAPACITY, 10 and 16 bytes (SBC-3 sections 5.15 and 5.16). */
import type { Cdb } from '../cdb.ts';
import { SENSE, type Sense } from '../sense.ts';
import type { DiskState } from './state.ts';

/** Eight bytes: the last block's address, clipped to 2^32 - 1 for larger disks, and the block length. */
export function readCapacity10(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const partialMedium = (cdb.bytes[8] & 1) !== 0;
  if (state.blocks === 0) {
    return SENSE.lunNotReady;
  }
  if (!partialMedium && cdb.lba !== 0) {
    return SENSE.invalidField;
  }
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, Math.min(state.blocks - 1, 0xffff_ffff));
  view.setUint32(4, state.blockSize);
  return data;
}

/** Thirty-two bytes: last block, block length, physical block exponent, LBPME. */
export function readCapacity16(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const partialMedium = (cdb.bytes[14] & 1) !== 0;
  if (state.blocks === 0) {
    return SENSE.lunNotReady;
  }
  if (!partialMedium && cdb.lba !== 0) {
    return SENSE.invalidField;
  }
  const data = new Uint8Array(32);
  const view = new DataView(data.buffer);
  view.setBigUint64(0, BigInt(state.blocks - 1));
  view.setUint32(8, state.blockSize);
  view.setUint8(13, Math.max(0, Math.round(Math.log2(state.options.physicalBlockSize / state.blockSize))));
  view.setUint8(14, state.options.discardGranularity > 0 ? 0x80 : 0);
  return data;
}
