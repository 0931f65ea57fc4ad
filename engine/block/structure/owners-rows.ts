/** Stretches of the file with their owners, gathered in any order and bounded in number. */
import { OWNER_KINDS, type OwnerKind } from '../../../contract/structure.ts';

/** A node of the tree, as the screen names it. */
export interface OwnerNode {
  path: string;
  label: string;
  params: Record<string, string | number>;
}

/** Where two claim the same bytes: metadata, then the live disk, then snapshots. */
const PRIORITY = OWNER_KINDS.map((kind) => (kind === 'snapshot-data' ? 2 : isData(kind) ? 1 : 0));

function isData(kind: OwnerKind): boolean {
  return kind === 'data' || kind === 'compressed';
}

export class OwnerRows {
  readonly offset: number[] = [];
  readonly length: number[] = [];
  /** Index into OWNER_KINDS. */
  readonly kind: number[] = [];
  /** Byte of the guest's disk, or -1. */
  readonly guest: number[] = [];
  readonly #nodes = new Map<number, OwnerNode>();
  readonly #most: number;
  cut = false;

  constructor(most: number) {
    this.#most = most;
  }

  get full(): boolean {
    return this.offset.length >= this.#most;
  }

  /** Data of the guest's disk; a neighbour that goes on in the file and on the disk alike joins the row before. */
  addData(kind: OwnerKind, offset: number, length: number, guest: number): void {
    const last = this.offset.length - 1;
    const index = OWNER_KINDS.indexOf(kind);
    if (
      kind !== 'compressed' &&
      last >= 0 &&
      this.kind[last] === index &&
      this.offset[last] + this.length[last] === offset &&
      this.guest[last] + this.length[last] === guest
    ) {
      this.length[last] += length;
    } else {
      this.#push(index, offset, length, guest);
    }
  }

  addNode(kind: OwnerKind, offset: number, length: number, node: OwnerNode): void {
    if (this.#push(OWNER_KINDS.indexOf(kind), offset, length, -1)) {
      this.#nodes.set(this.offset.length - 1, node);
    }
  }

  node(row: number): OwnerNode | undefined {
    return this.#nodes.get(row);
  }

  /** Rows by offset, the strongest claims first. */
  levels(): number[][] {
    const levels: number[][] = [[], [], []];
    this.kind.forEach((kind, row) => levels[PRIORITY[kind]].push(row));
    for (const level of levels) level.sort((a, b) => this.offset[a] - this.offset[b] || a - b);
    return levels;
  }

  #push(kind: number, offset: number, length: number, guest: number): boolean {
    if (this.full) {
      this.cut = true;
      return false;
    }
    this.offset.push(offset);
    this.length.push(length);
    this.kind.push(kind);
    this.guest.push(guest);
    return true;
  }
}
