/** Guest physical memory for the simulated guest's own things, handed out once and never taken back. */
import { PlatterError } from '../errors.ts';
import type { GuestMemory } from '../machine/memory.ts';

const PAGE = 4096;

export class GuestAllocator {
  readonly #memory: GuestMemory;
  #region = 0;
  #next: number;

  /** Begins at 1 MiB, as a kernel would. */
  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#region = memory.regions.findIndex(({ base }) => base >= 0x10_0000);
    if (this.#region < 0) this.#region = 0;
    this.#next = memory.regions[this.#region].base;
  }

  /** Where the next `take` begins, for `rewind`. */
  mark(): { region: number; next: number } {
    return { region: this.#region, next: this.#next };
  }
  /** Hands out from there on once more: for a driver that initialises its device again in the memory that it had. */
  rewind(to: { region: number; next: number }): void {
    this.#region = to.region;
    this.#next = to.next;
  }

  /** Guest physical address of `bytes` bytes on a page boundary, in one region. Throws `guest.out-of-memory`. */
  take(bytes: number): number {
    for (; this.#region < this.#memory.regions.length; this.#region++) {
      const region = this.#memory.regions[this.#region];
      const at = Math.ceil(Math.max(this.#next, region.base) / PAGE) * PAGE;
      if (at + bytes <= region.base + region.size) {
        this.#next = at + bytes;
        return at;
      }
    }
    throw new PlatterError(
      'guest.out-of-memory',
      `the simulated guest has no ${bytes} bytes of memory left`,
      {
        value: String(bytes),
      },
    );
  }
}
