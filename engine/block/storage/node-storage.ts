/** A disk as a storage, so that a format can lie inside another one: qcow2 over LUKS over a partition. */
import type { Maybe } from '../../maybe.ts';
import { PlatterError } from '../../errors.ts';
import { andThen } from '../../maybe.ts';
import type { BlockExtent, BlockNode } from '../node.ts';
import type { Storage, StorageExtent } from './storage.ts';

export interface Window {
  /** First byte of the node that the storage shows. Default 0. */
  offset?: number;
  /** Bytes that it shows. Default: to the node's end. */
  length?: number;
}

export class NodeStorage implements Storage {
  readonly name: string;
  readonly protocol = 'node';
  readonly readOnly: boolean;
  readonly node: BlockNode;
  /** The first byte of the node that is shown. */
  readonly start: number;
  readonly #length: number;

  /** Takes over `node`: closing the storage closes it. */
  constructor(node: BlockNode, window: Window = {}) {
    this.node = node;
    this.name = node.name;
    this.readOnly = node.readOnly;
    this.start = window.offset ?? 0;
    this.#length = window.length ?? node.virtualSize - this.start;
    if (this.start < 0 || this.#length < 0 || this.start + this.#length > node.virtualSize) {
      throw new PlatterError('block.out-of-range', `The window does not lie within "${node.name}"`, {
        image: node.name,
        offset: this.start,
        value: `${this.#length} bytes`,
        expected: `at most ${node.virtualSize} bytes`,
      });
    }
  }

  size(): number {
    return this.#length;
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    this.#check(offset, target.length);
    return this.node.read(this.start + offset, target);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    this.#check(offset, source.length);
    return this.node.write(this.start + offset, source);
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    this.#check(offset, length);
    return this.node.writeZeroes(this.start + offset, length);
  }

  truncate(size: number): void {
    if (size > this.#length) this.#check(0, size);
    // A disk keeps its size; what lies past the shorter end is simply not used.
  }

  flush(): Maybe<void> {
    return this.node.flush();
  }

  extentAt(offset: number, length: number): Maybe<StorageExtent> {
    this.#check(offset, length);
    return andThen(this.node.map(this.start + offset, length), (extent) => ({
      offset,
      length: extent.length,
      kind: readsAsZero(extent, this.node) ? ('hole' as const) : ('data' as const),
    }));
  }

  allocatedSize(): undefined {
    return undefined;
  }

  close(): Maybe<void> {
    return this.node.close();
  }

  #check(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.#length) return;
    throw new PlatterError('storage.short-read', `"${this.name}" ends at byte ${this.#length}`, {
      image: this.name,
      offset: this.#length,
    });
  }
}

function readsAsZero({ kind }: BlockExtent, { backing }: BlockNode): boolean {
  return kind === 'zero' || (kind === 'unallocated' && backing === undefined);
}
