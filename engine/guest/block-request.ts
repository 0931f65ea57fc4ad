/** What the guest's block layer handles: a bio is what a program asked for (or a piece of it), a request what the driver gets. */
import { OP } from '../trace/format.ts';
import type { GuestDisk } from './disk.ts';
import type { Readahead } from './readahead.ts';

/** One request of the program, in one of its `iodepth` slots. */
export class Slot {
  requestId = 0;
  op: number = OP.read;
  /** Byte offset and length on the disk. */
  offset = 0;
  bytes = 0;
  /** Guest physical address of its buffer. */
  readonly buffer: number;
  /** Whose it is: a program's, or the page cache's, which reads pages or writes them back. */
  readonly use: 'program' | 'read' | 'write-back';
  /** Pieces that are still under way. */
  pending = 0;
  /** 0, or the error that the program will see. */
  error = 0;
  busy = false;
  /** When the program asked, model nanoseconds. */
  sinceNs = 0;
  readonly disk: GuestDisk;
  /** The virtual CPU that its program runs on. */
  readonly cpu: number;
  /** That of the program's open file; the page cache's own requests have none. */
  readonly readahead: Readahead | undefined;

  constructor(
    buffer: number,
    disk: GuestDisk,
    cpu: number,
    use: Slot['use'] = 'program',
    readahead?: Readahead,
  ) {
    this.buffer = buffer;
    this.disk = disk;
    this.use = use;
    this.cpu = cpu;
    this.readahead = readahead;
  }
}

export class Bio {
  slot!: Slot;
  op: number = OP.read;
  sector = 0;
  sectors = 0;
  /** Guest physical address. */
  address = 0;
  /** Buffers that the device wants it cut into: its memory lies in one piece. */
  segments = 1;
  next: Bio | undefined;
}

/** A request of the block layer: one or more bios that lie side by side on the disk. */
export class BlockRequest {
  disk!: GuestDisk;
  /** That of its first bio's program request. */
  requestId = 0;
  op: number = OP.read;
  sector = 0;
  sectors = 0;
  first: Bio | undefined;
  last: Bio | undefined;
  /** Buffers of all bios together. */
  count = 0;
  error = 0;
  /** The driver wants it back for another try. */
  again = false;
  /** How often it was tried again. */
  retries = 0;

  begin(bio: Bio): this {
    this.disk = bio.slot.disk;
    this.requestId = bio.slot.requestId;
    this.op = bio.op;
    this.sector = bio.sector;
    this.sectors = bio.sectors;
    this.first = this.last = bio;
    bio.next = undefined;
    this.count = bio.segments;
    this.error = 0;
    this.again = false;
    this.retries = 0;
    return this;
  }

  append(bio: Bio): void {
    bio.next = undefined;
    if (this.last !== undefined) this.last.next = bio;
    this.last = bio;
    this.sectors += bio.sectors;
    this.count += bio.segments;
  }

  prepend(bio: Bio): void {
    bio.next = this.first;
    this.first = bio;
    this.sector = bio.sector;
    this.sectors += bio.sectors;
    this.count += bio.segments;
  }
}
