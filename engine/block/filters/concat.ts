/** Several disks one behind the other as one disk: the sources of a conversion that is given more than one. */
import { PlatterError } from '../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { BlockExtent, BlockNode } from '../node.ts';
import { checkRange } from '../range.ts';
import { readLater } from '../read-later.ts';

const SECTOR = 512;

export class ConcatNode implements BlockNode {
  readonly driver = 'concat';
  readonly name: string;
  readonly virtualSize: number;
  readonly readOnly = true;
  readonly #parts: { node: BlockNode; start: number; end: number }[] = [];

  /** Takes over the nodes. A disk that ends within a sector of 512 bytes is filled up with zeroes, as QEMU counts. */
  constructor(nodes: readonly BlockNode[]) {
    let start = 0;
    for (const node of nodes) {
      const end = start + Math.ceil(node.virtualSize / SECTOR) * SECTOR;
      this.#parts.push({ node, start, end });
      start = end;
    }
    this.virtualSize = start;
    this.name = nodes.map(({ name }) => name).join(' + ');
  }

  map(offset: number, length: number): Maybe<BlockExtent> {
    checkRange(this, offset, length);
    const { node, start, end } = this.#at(offset);
    const most = Math.min(length, end - offset);
    const there = Math.min(most, start + node.virtualSize - offset);
    if (there <= 0) return { offset, length: most, kind: 'zero' };
    return andThen(node.map(offset - start, there), (extent) => ({ ...extent, offset }));
  }

  /** The disks, in order. */
  get parts(): BlockNode[] {
    return this.#parts.map(({ node }) => node);
  }

  /** What the one disk at `offset` shows, its own backing chain included. */
  nodeAt(offset: number): { node: BlockNode; start: number; end: number } {
    checkRange(this, offset, 1);
    return this.#at(offset);
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    checkRange(this, offset, target.length);
    return run(this.#read(offset, target));
  }

  readLater(offset: number, target: Uint8Array): Maybe<void> {
    const { node, start } = this.nodeAt(offset);
    const inside = offset - start + target.length <= node.virtualSize;
    return inside ? readLater(node, offset - start, target) : this.read(offset, target);
  }

  write(): never {
    return this.#refuse();
  }

  writeZeroes(): never {
    return this.#refuse();
  }

  discard(): never {
    return this.#refuse();
  }

  flush(): void {
    // Nothing is ever written.
  }

  close(): Maybe<void> {
    return run(this.#close());
  }

  *#read(offset: number, target: Uint8Array): Steps<void> {
    for (let done = 0; done < target.length;) {
      const at = offset + done;
      const { node, start, end } = this.#at(at);
      const part = target.subarray(done, done + Math.min(target.length - done, end - at));
      const there = Math.max(0, Math.min(part.length, start + node.virtualSize - at));
      part.fill(0, there);
      if (there > 0) yield* wait(node.read(at - start, part.subarray(0, there)));
      done += part.length;
    }
  }

  *#close(): Steps<void> {
    for (const { node } of this.#parts) yield* wait(node.close());
  }

  #at(offset: number): { node: BlockNode; start: number; end: number } {
    return this.#parts.find(({ end }) => offset < end) ?? this.#parts[this.#parts.length - 1];
  }

  #refuse(): never {
    throw new PlatterError('block.read-only', `"${this.name}" is several images and cannot be written`, {
      image: this.name,
    });
  }
}
