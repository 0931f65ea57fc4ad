/** Reference counts of 1 to 64 bits in a refcount block (specification, "Refcount block"): sub-byte counts start at the low bit. */
import { highHalf, joinU64, lowHalf } from '../../../bytes/u64.ts';

/** The count at `index` of a slice whose first count is index 0. `order` is log2 of the width in bits. */
export function readRefcount(view: DataView, index: number, order: number): number {
  switch (order) {
    case 4:
      return view.getUint16(index * 2);
    case 3:
      return view.getUint8(index);
    case 5:
      return view.getUint32(index * 4);
    case 6:
      return joinU64(view.getUint32(index * 8), view.getUint32(index * 8 + 4), 'refcount', index * 8);
    default: {
      const bits = 1 << order;
      const perByte = 8 >> order;
      const shift = (index % perByte) * bits;
      return (view.getUint8(Math.floor(index / perByte)) >> shift) & ((1 << bits) - 1);
    }
  }
}

export function writeRefcount(view: DataView, index: number, order: number, value: number): void {
  switch (order) {
    case 4:
      view.setUint16(index * 2, value);
      break;
    case 3:
      view.setUint8(index, value);
      break;
    case 5:
      view.setUint32(index * 4, value);
      break;
    case 6:
      view.setUint32(index * 8, highHalf(value));
      view.setUint32(index * 8 + 4, lowHalf(value));
      break;
    default: {
      const bits = 1 << order;
      const perByte = 8 >> order;
      const shift = (index % perByte) * bits;
      const at = Math.floor(index / perByte);
      const mask = ((1 << bits) - 1) << shift;
      view.setUint8(at, (view.getUint8(at) & ~mask) | (value << shift));
    }
  }
}

/** The largest count of that width; widths above 53 bits are counted up to 2^53 - 1 only. */
export function maxRefcount(order: number): number {
  return order === 6 ? Number.MAX_SAFE_INTEGER : 2 ** (1 << order) - 1;
}
