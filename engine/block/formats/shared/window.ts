/** A part of a disk as a disk of its own: what a later extent of a split image sees of the backing image. */
import type { Maybe } from '../../../maybe.ts';
import type { BlockExtent, BlockNode } from '../../node.ts';

export class WindowNode implements BlockNode {
  readonly driver = 'window';
  readonly name: string;
  readonly virtualSize: number;
  readonly readOnly = true;
  readonly #node: BlockNode;
  readonly #start: number;

  /** From `start` of `node` on, bytes. `node` stays the caller's to close. */
  constructor(node: BlockNode, start: number) {
    this.name = node.name;
    this.virtualSize = Math.max(0, node.virtualSize - start);
    this.#node = node;
    this.#start = start;
  }

  map(offset: number, length: number): Maybe<BlockExtent> {
    return this.#node.map(this.#start + offset, length);
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    return this.#node.read(this.#start + offset, target);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return this.#node.write(this.#start + offset, source);
  }

  writeZeroes(offset: number, length: number, unmap?: boolean): Maybe<void> {
    return this.#node.writeZeroes(this.#start + offset, length, unmap);
  }

  discard(offset: number, length: number): Maybe<void> {
    return this.#node.discard(this.#start + offset, length);
  }

  flush(): Maybe<void> {
    return this.#node.flush();
  }

  close(): void {
    // The node below belongs to somebody else.
  }
}
