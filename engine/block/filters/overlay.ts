/**
 * QEMU's `snapshot=on`: writes stay in memory and are gone when it closes; the image below is never written.
 *
 * Pages of 4 KiB are copied up when they are first written in part. Memory is bounded.
 */
import { PlatterError } from '../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { BlockExtent, BlockNode } from '../node.ts';
import { checkRange } from '../range.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { FilterNode } from './filter.ts';

/** Bytes. */
const PAGE = 4096;

export interface OverlayOptions {
  /** Most bytes of written pages. Default 1 GiB. */
  limit?: number;
}

export class OverlayNode extends FilterNode {
  readonly driver = 'snapshot-on';
  readonly #store: MemoryStorage;
  /** Indices of pages that the store answers for. */
  readonly #pages = new Set<number>();
  readonly #limit: number;

  constructor(child: BlockNode, options: OverlayOptions = {}) {
    super(child);
    this.#limit = options.limit ?? 1 << 30;
    // The store keeps 64 KiB pages, so a scattered load takes more than it writes; the pages below are what is promised.
    this.#store = new MemoryStorage(child.virtualSize, { name: child.name, limit: this.#limit * 16 });
  }

  override get readOnly(): boolean {
    return false;
  }

  /** Bytes of the pages written so far. */
  get writtenBytes(): number {
    return this.#pages.size * PAGE;
  }

  override map(offset: number, length: number): Maybe<BlockExtent> {
    checkRange(this, offset, length);
    const there = this.#pages.has(Math.floor(offset / PAGE));
    const run = this.#runLength(offset, length, there);
    if (!there) return this.child.map(offset, run);
    return { offset, length: run, kind: 'data', storage: this.#store, hostOffset: offset };
  }

  override read(offset: number, target: Uint8Array): Maybe<void> {
    checkRange(this, offset, target.length);
    return this.#pages.size === 0 ? this.child.read(offset, target) : run(this.#read(offset, target));
  }

  override write(offset: number, source: Uint8Array): Maybe<void> {
    checkRange(this, offset, source.length);
    return run(this.#write(offset, source));
  }

  override writeZeroes(offset: number, length: number): Maybe<void> {
    checkRange(this, offset, length);
    return run(this.#zero(offset, length));
  }

  /** What is discarded keeps its contents, as QEMU's overlay would let it. */
  override discard(offset: number, length: number): Maybe<void> {
    checkRange(this, offset, length);
  }

  override flush(): void {
    // Nothing of this is meant to last.
  }

  *#read(offset: number, target: Uint8Array): Steps<void> {
    for (let done = 0; done < target.length;) {
      const at = offset + done;
      const there = this.#pages.has(Math.floor(at / PAGE));
      const length = this.#runLength(at, target.length - done, there);
      const part = target.subarray(done, done + length);
      if (there) this.#store.read(at, part);
      else yield* wait(this.child.read(at, part));
      done += length;
    }
  }

  *#write(offset: number, source: Uint8Array): Steps<void> {
    yield* this.#takeEdges(offset, source.length);
    this.#store.write(offset, source);
    this.#markPages(offset, source.length);
  }

  *#zero(offset: number, length: number): Steps<void> {
    if (length === 0) return;
    yield* this.#takeEdges(offset, length);
    this.#store.writeZeroes(offset, length);
    this.#markPages(offset, length);
  }

  /** Copies up the first and the last page where the range covers them only in part. */
  *#takeEdges(offset: number, length: number): Steps<void> {
    this.#makeRoom(offset, length);
    const end = offset + length;
    if (offset % PAGE !== 0) yield* this.#copyUp(Math.floor(offset / PAGE));
    if (end % PAGE !== 0 && end !== this.virtualSize) yield* this.#copyUp(Math.floor(end / PAGE));
  }

  *#copyUp(page: number): Steps<void> {
    if (this.#pages.has(page)) return;
    const bytes = new Uint8Array(Math.min(PAGE, this.virtualSize - page * PAGE));
    yield* wait(this.child.read(page * PAGE, bytes));
    // A slow child may have let another write of the same page overtake this one.
    if (this.#pages.has(page)) return;
    this.#store.write(page * PAGE, bytes);
    this.#pages.add(page);
  }

  #markPages(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) this.#pages.add(page);
  }

  #makeRoom(offset: number, length: number): void {
    const first = Math.floor(offset / PAGE);
    const count = Math.floor((offset + length - 1) / PAGE) - first + 1;
    const room = Math.floor(this.#limit / PAGE);
    if (this.#pages.size + count <= room) return;
    let missing = 0;
    if (count <= room)
      for (let page = first; page < first + count; page++) if (!this.#pages.has(page)) missing++;
    if (count <= room && this.#pages.size + missing <= room) return;
    throw new PlatterError(
      'overlay.full',
      `The writes to "${this.name}" that are kept in memory would exceed ${this.#limit} bytes`,
      {
        image: this.name,
        offset,
        expected: `at most ${this.#limit} bytes`,
        hint: 'Write to a copy of the image instead.',
      },
    );
  }

  #runLength(offset: number, length: number, there: boolean): number {
    let end = offset - (offset % PAGE) + PAGE;
    while (end < offset + length && this.#pages.has(end / PAGE) === there) end += PAGE;
    return Math.min(length, end - offset);
  }
}
