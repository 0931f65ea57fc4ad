/**
 * The tables of a format as a lazy tree. A node knows its place, its fields and its children; nothing is read before somebody
 * asks for it, and never more than a page.
 */
import type { OwnerKind, StructureField } from '../../../contract/structure.ts';
import { wait, type Maybe, type Steps } from '../../maybe.ts';

export interface TreeNode {
  /** `structure.node.<label>`. */
  label: string;
  params?: Record<string, string | number>;
  /** What its bytes are on the map of the file. */
  owner: OwnerKind;
  /** Bytes in the file. */
  offset: number;
  length: number;
  fields?: FieldSource;
  children?: ChildSource;
}

export interface FieldSource {
  count: number;
  /** `limit` fields from `start`, fewer at the end. */
  page(start: number, limit: number): Maybe<StructureField[]>;
}

export interface ChildSource {
  /** How many there can be. */
  count: number;
  /** The child at an index below `count`, or undefined where there is none. */
  at(index: number): Maybe<TreeNode | undefined>;
  /** Name of the child in paths, and back (-1: none). */
  nameOf(index: number): string;
  indexOf(name: string): number;
}

/** Fields that are there already. */
export function listed(fields: readonly StructureField[]): FieldSource {
  return { count: fields.length, page: (start, limit) => fields.slice(start, start + limit) };
}

/** A few children with names; those that are undefined are left out. */
export function named(children: Record<string, TreeNode | undefined>): ChildSource {
  const entries = Object.entries(children).filter(
    (entry): entry is [string, TreeNode] => entry[1] !== undefined,
  );
  const names = entries.map(([name]) => name);
  return {
    count: names.length,
    at: (index) => entries[index]?.[1],
    nameOf: (index) => names[index],
    indexOf: (name) => names.indexOf(name),
  };
}

/** Children that are named by their index. */
export function indexed(count: number, at: (index: number) => Maybe<TreeNode | undefined>): ChildSource {
  return {
    count,
    at,
    nameOf: String,
    indexOf: (name) => {
      const index = /^\d{1,15}$/.test(name) ? Number(name) : -1;
      return index < count ? index : -1;
    },
  };
}

/** The node at `path` below `root`, or undefined. `''` is the root. */
export function* findNode(root: TreeNode, path: string): Steps<TreeNode | undefined> {
  let node: TreeNode | undefined = root;
  for (const name of path === '' ? [] : path.split('/')) {
    const index: number = node.children?.indexOf(name) ?? -1;
    node = index < 0 ? undefined : yield* wait(node.children!.at(index));
    if (node === undefined) return undefined;
  }
  return node;
}
