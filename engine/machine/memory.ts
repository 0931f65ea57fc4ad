/**
 * Guest memory: one buffer, and a table of the regions of the guest's physical address space that lie in it. What is between
 * regions is a hole (the VGA window, the PCI hole, anything past the end), and no range that touches one is ever accessible.
 *
 * The buffer may belong to somebody else: an x86 emulator's (whose WebAssembly memory is replaced when it grows: call `refresh`
 * before work), or memory shared with a QEMU process. `beforeWrite` tells such an owner what is about to change.
 */
import { PlatterError } from '../errors.ts';

export interface MemoryRegion {
  /** Guest physical address of the first byte. */
  base: number;
  /** Bytes. */
  size: number;
  /** Where the region starts in the buffer, bytes. */
  offset: number;
}

export interface MemoryOwner {
  /** The memory as it is now, on a boundary of 4 bytes; asked again by `refresh`. */
  current(): Uint8Array;
  readonly regions: readonly MemoryRegion[];
  /** Called before bytes of the buffer change, so that an emulator can drop translated code. */
  beforeWrite?(offset: number, length: number): void;
}

const VIEW_SLOTS = 2048;
/** Places in the buffer are counted in words of 32 bits with the processor's own integers. */
const MOST_BYTES = 2 ** 32;

function badRegion({ base, size, offset }: MemoryRegion, expected: string): PlatterError {
  const value = `0x${base.toString(16)}+0x${size.toString(16)}`;
  return new PlatterError(
    'machine.bad-region',
    `region ${value} of guest memory, at ${offset} of its buffer, must ${expected}`,
    {
      offset,
      value,
      expected,
    },
  );
}

/**
 * The owner's regions by address; neighbours that lie side by side in the buffer as well become one, so that what crosses from one to
 * the other is in one piece. Throws `machine.bad-region`.
 */
function inOrder(regions: readonly MemoryRegion[]): MemoryRegion[] {
  const ordered: MemoryRegion[] = [];
  for (const region of regions.toSorted((a, b) => a.base - b.base)) {
    const { base, size, offset } = region;
    const whole = [base, size, offset].every((value) => Number.isSafeInteger(value) && value >= 0);
    if (!whole || !Number.isSafeInteger(base + size)) throw badRegion(region, 'lie below 2^53');
    if (size === 0) continue;
    const last = ordered.at(-1);
    const end = last === undefined ? 0 : last.base + last.size;
    if (base < end) throw badRegion(region, 'not overlap another one');
    if (last !== undefined && base === end && offset === last.offset + last.size) last.size += size;
    else ordered.push({ ...region });
  }
  return ordered;
}

export class GuestMemory {
  /** The whole buffer. Valid until the next `refresh`. */
  bytes: Uint8Array;
  view: DataView;
  /**
   * The same buffer by 32-bit and 16-bit units, for what lies aligned: reading an element of a typed array costs a fraction of a
   * reading through `view`. Little-endian as the guest is, because every machine that this runs on is.
   */
  words: Uint32Array;
  halves: Uint16Array;
  readonly regions: readonly MemoryRegion[];
  readonly #owner: MemoryOwner;
  readonly #beforeWrite: ((offset: number, length: number) => void) | undefined;
  /** Views that were made, by where they lie: making one costs more than copying a page. */
  readonly #views: (Uint8Array | undefined)[] = Array.from({ length: VIEW_SLOTS }, () => undefined);
  readonly #viewOffsets = new Float64Array(VIEW_SLOTS).fill(-1);
  readonly #viewLengths = new Float64Array(VIEW_SLOTS);
  #lastRegion: MemoryRegion;

  /** Throws `machine.bad-region`. */
  constructor(owner: MemoryOwner) {
    this.#owner = owner;
    this.regions = inOrder(owner.regions);
    this.#lastRegion = this.regions.at(-1) ?? { base: 0, size: 0, offset: 0 };
    this.#beforeWrite = owner.beforeWrite?.bind(owner);
    this.bytes = this.#checked(owner.current());
    this.view = viewOf(this.bytes);
    this.words = wordsOf(this.bytes);
    this.halves = halvesOf(this.bytes);
  }

  /** Throws `machine.bad-region` when a region does not lie in the buffer. */
  #checked(bytes: Uint8Array): Uint8Array {
    const most = Math.min(bytes.length, MOST_BYTES);
    for (const region of this.regions) {
      if (region.offset + region.size > most)
        throw badRegion(region, `lie in the ${most} bytes of the buffer`);
    }
    return bytes;
  }

  /** Takes over a buffer that was replaced since the last call. Throws `machine.bad-region` for one that is too small. */
  refresh(): void {
    const bytes = this.#owner.current();
    if (bytes === this.bytes) return;
    this.bytes = this.#checked(bytes);
    this.view = viewOf(bytes);
    this.words = wordsOf(bytes);
    this.halves = halvesOf(bytes);
    this.#views.fill(undefined);
    this.#viewOffsets.fill(-1);
  }

  /** Where the range lies in the buffer, or -1 when it is not wholly inside one region; a range of no bytes lies where it would begin. */
  locate(address: number, length: number): number {
    const last = this.#lastRegion;
    const within = address - last.base;
    if (within >= 0 && within + length <= last.size) return last.offset + within;
    for (const region of this.regions) {
      const inside = address - region.base;
      if (inside >= 0 && inside + length <= region.size) {
        this.#lastRegion = region;
        return region.offset + inside;
      }
    }
    return -1;
  }

  /** The buffer's bytes at `offset`; a view, kept for the next time. */
  window(offset: number, length: number): Uint8Array {
    const slot = ((offset >>> 12) ^ (offset >>> 9) ^ length) & (VIEW_SLOTS - 1);
    if (this.#viewOffsets[slot] === offset && this.#viewLengths[slot] === length) {
      const kept = this.#views[slot];
      if (kept !== undefined) return kept;
    }
    const made = this.bytes.subarray(offset, offset + length);
    this.#views[slot] = made;
    this.#viewOffsets[slot] = offset;
    this.#viewLengths[slot] = length;
    return made;
  }

  /** To be called before every write into `bytes` or `view`. */
  dirty(offset: number, length: number): void {
    if (this.#beforeWrite !== undefined) this.#beforeWrite(offset, length);
  }

  /** The same as `locate`, for callers that have no use for an address outside memory. Throws `machine.no-memory`. */
  require(address: number, length: number): number {
    const offset = this.locate(address, length);
    if (offset < 0) {
      throw new PlatterError(
        'machine.no-memory',
        `guest address 0x${address.toString(16)} with ${length} bytes is not inside one region of guest memory`,
        { offset: address, value: String(length) },
      );
    }
    return offset;
  }

  read(address: number, target: Uint8Array): void {
    const offset = this.require(address, target.length);
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(address: number, source: Uint8Array): void {
    const offset = this.require(address, source.length);
    this.dirty(offset, source.length);
    this.bytes.set(source, offset);
  }

  readUint(address: number, size: 1 | 2 | 4): number {
    const offset = this.require(address, size);
    if (size === 1) return this.view.getUint8(offset);
    return size === 2 ? this.view.getUint16(offset, true) : this.view.getUint32(offset, true);
  }

  writeUint(address: number, size: 1 | 2 | 4, value: number): void {
    const offset = this.require(address, size);
    this.dirty(offset, size);
    if (size === 1) this.view.setUint8(offset, value);
    else if (size === 2) this.view.setUint16(offset, value, true);
    else this.view.setUint32(offset, value, true);
  }
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const wordsOf = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
const halvesOf = (bytes: Uint8Array): Uint16Array =>
  new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 1);

/** First address above the PC's video and BIOS hole, and of memory above 4 GiB. */
const ABOVE_BIOS = 0x10_0000;
const VIDEO_HOLE = 0xa_0000;
const ABOVE_4G = 0x1_0000_0000;
/** Where q35 ends memory below 4 GiB and goes on above it. */
const LOW_LIMIT = 0x8000_0000;

/** The regions of a PC with `size` bytes of memory: below 640 KiB, from 1 MiB up to 2 GiB, the rest above 4 GiB. */
export function pcRegions(size: number): MemoryRegion[] {
  const regions: MemoryRegion[] = [
    { base: 0, size: Math.min(size, VIDEO_HOLE), offset: 0 },
    { base: ABOVE_BIOS, size: Math.min(size, LOW_LIMIT) - ABOVE_BIOS, offset: ABOVE_BIOS },
    { base: ABOVE_4G, size: size - LOW_LIMIT, offset: LOW_LIMIT },
  ];
  return regions.filter(({ size }) => size > 0);
}

/** Memory of our own. */
export function createMemory(size: number, regions: MemoryRegion[] = pcRegions(size)): GuestMemory {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  return new GuestMemory({ regions, current: () => bytes });
}
