/**
 * The guest's generic block layer: cuts what is larger than the device takes, merges what lies side by side with a request that still
 * waits, and keeps the requests that wait for the driver (Linux's block/blk-merge.c; the `none` scheduler's order).
 */
import { OP } from '../trace/format.ts';
import { Bio, BlockRequest, type Slot } from './block-request.ts';

const SECTOR = 512;

export interface QueueLimits {
  /** Largest request, sectors (`max_sectors_kb`; Linux's default is 1280 KiB). */
  maxSectors: number;
  /** Most buffers of one request (`seg_max`). */
  maxSegments: number;
  /** Most bytes of one buffer, at least a sector (`size_max`); no limit when left out. */
  maxSegmentBytes?: number;
}

export type MergeKind = 'back' | 'front';

export class BlockLayer {
  /** Requests that wait for the driver, oldest first. */
  readonly waiting: BlockRequest[] = [];
  /** The request that `merge` merged into. */
  mergedInto: BlockRequest | undefined;
  readonly #limits: QueueLimits;
  readonly #bios: Bio[] = [];
  readonly #requests: BlockRequest[] = [];

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** The next piece of the program's request from `done` sectors on, at most as large as the device takes. */
  bio(slot: Slot, done: number): Bio {
    const bio = this.#bios.pop() ?? new Bio();
    bio.slot = slot;
    bio.op = slot.op;
    bio.sector = slot.offset / SECTOR + done;
    bio.sectors = Math.min(slot.bytes / SECTOR - done, this.#mostSectors);
    bio.segments = Math.max(1, Math.ceil((bio.sectors * SECTOR) / this.#segmentBytes));
    bio.address = slot.buffer + done * SECTOR;
    slot.pending++;
    return bio;
  }

  get #segmentBytes(): number {
    return this.#limits.maxSegmentBytes ?? Infinity;
  }
  /** Of one bio: as many as the device takes, in as many buffers as it takes. */
  get #mostSectors(): number {
    const { maxSectors, maxSegments } = this.#limits;
    return Math.min(maxSectors, maxSegments * Math.floor(this.#segmentBytes / SECTOR));
  }

  /** Tries to make the bio part of a waiting request; says at which end, or undefined. */
  merge(bio: Bio): MergeKind | undefined {
    if (bio.op !== OP.read && bio.op !== OP.write) return undefined;
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      const request = this.waiting[i];
      if (request.op !== bio.op || request.count + bio.segments > this.#limits.maxSegments) continue;
      if (request.sectors + bio.sectors > this.#limits.maxSectors) continue;
      this.mergedInto = request;
      if (request.sector + request.sectors === bio.sector) {
        request.append(bio);
        return 'back';
      }
      if (bio.sector + bio.sectors === request.sector) {
        request.prepend(bio);
        return 'front';
      }
    }
    return undefined;
  }

  /** Makes a waiting request out of the bio. */
  insert(bio: Bio): BlockRequest {
    const request = (this.#requests.pop() ?? new BlockRequest()).begin(bio);
    this.waiting.push(request);
    return request;
  }

  /** The oldest waiting request, taken out. */
  take(): BlockRequest | undefined {
    return this.waiting.shift();
  }

  /** The driver had no room: it goes back to the front. */
  requeue(request: BlockRequest): void {
    this.waiting.unshift(request);
  }

  /** Ends a request and its bios; `finished` is called for each slot whose last piece this was. */
  complete(request: BlockRequest, finished: (slot: Slot) => void): void {
    for (let bio = request.first; bio !== undefined;) {
      const { next, slot } = bio;
      if (request.error !== 0) slot.error = request.error;
      if (--slot.pending === 0) finished(slot);
      this.#bios.push(bio);
      bio = next;
    }
    request.first = request.last = undefined;
    this.#requests.push(request);
  }
}
