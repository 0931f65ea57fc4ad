/** A virtqueue by its bytes: descriptors and indices written without the driver's half, in either layout, right or wrong. */
import type { GuestMemory } from '../../machine/memory.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import {
  AVAIL_IDX,
  AVAIL_RING,
  DESC_F_NEXT,
  DESC_FLAGS,
  DESC_LEN,
  DESC_NEXT,
  DESC_SIZE,
  USED_IDX,
} from '../../virtio/queue/layout.ts';
import { PackedDeviceQueue } from '../../virtio/queue/packed-device.ts';
import { availableFlags, isUsed, PACKED_FLAGS, PACKED_ID } from '../../virtio/queue/packed-layout.ts';

/** A descriptor as it is written: address, bytes, flags, and the next one's index; a packed one's buffer id is always 0. */
export type RawDescriptor = readonly [address: number | bigint, length: number, flags: number, next?: number];

function writeDescriptor(
  memory: GuestMemory,
  layout: 'split' | 'packed',
  at: number,
  [address, length, flags, next = 0]: RawDescriptor,
): void {
  const offset = memory.require(at, DESC_SIZE);
  memory.dirty(offset, DESC_SIZE);
  const { view } = memory;
  const packed = layout === 'packed';
  view.setBigUint64(offset, BigInt(address), true);
  view.setUint32(offset + DESC_LEN, length, true);
  view.setUint16(offset + (packed ? PACKED_FLAGS : DESC_FLAGS), flags, true);
  view.setUint16(offset + (packed ? PACKED_ID : DESC_NEXT), packed ? 0 : next, true);
}

/** Writes descriptors one after the other, as in an indirect table. */
export function writeTable(
  memory: GuestMemory,
  layout: 'split' | 'packed',
  descriptors: readonly RawDescriptor[],
  at: number,
): void {
  descriptors.forEach((entry, i) => writeDescriptor(memory, layout, at + i * DESC_SIZE, entry));
}

export class RawRing {
  readonly layout: 'split' | 'packed';
  readonly size: number;
  readonly kick: () => void;
  readonly #memory: GuestMemory;
  /** Guest physical addresses, as they are before anything is reset. */
  readonly #desc: number;
  readonly #driver: number;
  readonly #device: number;
  /** A packed ring: where the next chain goes, and the wrap counter there. */
  readonly #place: number;
  readonly #wrap: boolean;
  readonly #usedBefore: number;

  /** `queue`: one that is set up; it must be empty. `kick` rings its doorbell. */
  constructor({ memory, queues }: VirtioDevice, queue: number, kick: () => void) {
    this.#memory = memory;
    const { ring, size, desc, driver, device } = queues[queue];
    this.#desc = desc;
    this.#driver = driver;
    this.#device = device;
    this.kick = kick;
    this.layout = ring?.layout ?? 'split';
    this.size = ring?.size ?? size;
    this.#place = ring?.lastAvailIdx ?? 0;
    this.#wrap = ring instanceof PackedDeviceQueue ? ring.availWrap : true;
    this.#usedBefore = this.layout === 'split' ? this.usedIdx : 0;
  }

  get usedIdx(): number {
    return this.#memory.readUint(this.#device + USED_IDX, 2);
  }
  get availIdx(): number {
    return this.#memory.readUint(this.#driver + AVAIL_IDX, 2);
  }

  /** Chains given back since the beginning; of a packed ring whether the first one is. */
  get used(): number {
    if (this.layout === 'split') return (this.usedIdx - this.#usedBefore) & 0xffff;
    const flags = this.#memory.readUint(this.#desc + this.#place * DESC_SIZE + PACKED_FLAGS, 2);
    return isUsed(flags, this.#wrap) ? 1 : 0;
  }

  /**
   * Writes descriptors without offering them: a split table from index 0 on, a packed ring from where the device looks next, there
   * already available.
   */
  describe(descriptors: readonly RawDescriptor[]): void {
    if (this.layout === 'split') {
      writeTable(this.#memory, 'split', descriptors, this.#desc);
      return;
    }
    descriptors.forEach(([address, length, flags], i) => {
      const place = this.#place + i;
      const wrap = place < this.size ? this.#wrap : !this.#wrap;
      const at = this.#desc + (place % this.size) * DESC_SIZE;
      writeDescriptor(this.#memory, 'packed', at, [address, length, flags | availableFlags(wrap)]);
    });
  }

  /** Puts a head into the available ring and moves its index on by `by`; a packed ring has neither. */
  offer(head: number, by = 1): void {
    if (this.layout === 'packed') return;
    const idx = this.availIdx;
    this.#memory.writeUint(this.#driver + AVAIL_RING + (idx & (this.size - 1)) * 2, 2, head);
    this.#memory.writeUint(this.#driver + AVAIL_IDX, 2, (idx + by) & 0xffff);
  }

  /** Descriptors as one chain from index 0 on. */
  offerChain(descriptors: readonly RawDescriptor[]): void {
    this.describe(descriptors);
    this.offer(0);
  }
}

/** Descriptors one after the other as a chain: NEXT and the index of the next on all but the last. */
export function linked(descriptors: readonly RawDescriptor[]): RawDescriptor[] {
  const last = descriptors.length - 1;
  return descriptors.map(([address, length, flags], i) =>
    i === last ? [address, length, flags, 0] : [address, length, flags | DESC_F_NEXT, i + 1],
  );
}
