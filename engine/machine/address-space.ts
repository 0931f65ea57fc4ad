/**
 * An address space of registers (memory-mapped or I/O ports): ranges with handlers, and doorbells, single addresses that KVM
 * would serve with an ioeventfd. Ranges may be mapped, moved and unmapped at any time; the newest one wins where two overlap.
 */

/** Access sizes in bytes; a driver's 64-bit access arrives as two of four. */
export type AccessSize = 1 | 2 | 4;

export interface RegisterRange {
  /** What the trace and the screen call it: `virtio-blk common`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The value of `size` bytes at `offset` of the range, unsigned. */
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
  /** Whether it answers there; what lies below it in the address space does otherwise. Left out: everywhere. */
  decodes?(offset: number, size: AccessSize): boolean;
}

/** A register whose writing only wakes somebody up: an ioeventfd is bound to it. */
export interface Doorbell {
  /** The virtqueue that it belongs to. */
  readonly queue: number;
  ring(value: number): void;
}

interface Mapping {
  base: number;
  range: RegisterRange;
}

const ALL_ONES = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;

/** What a read of `size` bytes answers where nobody is. */
export function allOnes(size: AccessSize): number {
  return ALL_ONES[size];
}

/** The lowest `size` bytes of a register's 32 bits, unsigned: what a narrower access sees. */
export function lowBytes(value: number, size: AccessSize): number {
  return (value & ALL_ONES[size]) >>> 0;
}

export class AddressSpace {
  readonly #mappings: Mapping[] = [];
  readonly #doorbells = new Map<number, Doorbell>();

  map(base: number, range: RegisterRange): void {
    this.unmap(range);
    this.#mappings.unshift({ base, range });
  }

  unmap(range: RegisterRange): void {
    const at = this.#mappings.findIndex((mapping) => mapping.range === range);
    if (at >= 0) this.#mappings.splice(at, 1);
  }

  /** Where the range is mapped, or undefined. */
  baseOf(range: RegisterRange): number | undefined {
    return this.#mappings.find((mapping) => mapping.range === range)?.base;
  }

  /** The mapped ranges, for the screen. */
  list(): { base: number; name: string; size: number }[] {
    return this.#mappings.map(({ base, range }) => ({ base, name: range.name, size: range.size }));
  }

  bindDoorbell(address: number, doorbell: Doorbell): void {
    this.#doorbells.set(address, doorbell);
  }
  unbindDoorbell(address: number): void {
    this.#doorbells.delete(address);
  }
  /** The doorbell at exactly this address, for whoever decides between the light and the heavy exit. */
  doorbellAt(address: number): Doorbell | undefined {
    return this.#doorbells.get(address);
  }

  #find(address: number, size: AccessSize): Mapping | undefined {
    return this.#mappings.find(
      ({ base, range }) =>
        address >= base &&
        address + size <= base + range.size &&
        (range.decodes === undefined || range.decodes(address - base, size)),
    );
  }

  /** Whether anybody answers there. */
  decodes(address: number, size: AccessSize): boolean {
    return this.#find(address, size) !== undefined;
  }

  /** What nobody answers reads as all ones. */
  read(address: number, size: AccessSize): number {
    const found = this.#find(address, size);
    return found === undefined ? allOnes(size) : found.range.read(address - found.base, size);
  }

  /** A write that nobody wants is lost, as on a real bus. */
  write(address: number, size: AccessSize, value: number): void {
    const found = this.#find(address, size);
    found?.range.write(address - found.base, size, value);
  }
}
