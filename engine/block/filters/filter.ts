/** The base of all filters: a node that passes everything on to the one below. A filter overrides what it is about. */
import type { Maybe } from '../../maybe.ts';
import type { BlockExtent, BlockNode } from '../node.ts';

export abstract class FilterNode implements BlockNode {
  abstract readonly driver: string;
  readonly child: BlockNode;

  /** Takes over `child`: closing the filter closes it. */
  constructor(child: BlockNode) {
    this.child = child;
  }

  get name(): string {
    return this.child.name;
  }

  get virtualSize(): number {
    return this.child.virtualSize;
  }

  get readOnly(): boolean {
    return this.child.readOnly;
  }

  get clusterSize(): number | undefined {
    return this.child.clusterSize;
  }

  get backing(): BlockNode | undefined {
    return this.child.backing;
  }

  map(offset: number, length: number): Maybe<BlockExtent> {
    return this.child.map(offset, length);
  }

  holesAre(offset: number): ReturnType<NonNullable<BlockNode['holesAre']>> {
    return this.child.holesAre?.(offset);
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    return this.child.read(offset, target);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return this.child.write(offset, source);
  }

  writeZeroes(offset: number, length: number, unmap?: boolean): Maybe<void> {
    return this.child.writeZeroes(offset, length, unmap);
  }

  discard(offset: number, length: number): Maybe<void> {
    return this.child.discard(offset, length);
  }

  flush(): Maybe<void> {
    return this.child.flush();
  }

  close(): Maybe<void> {
    return this.child.close();
  }
}
