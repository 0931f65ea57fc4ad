/** The questions that the screen asks about the tables of an image: children, fields and one node, each in bounded time and memory. */
import type {
  StructureFields,
  StructureNode,
  StructurePage,
  StructureField,
} from '../../../contract/structure.ts';
import { PlatterError } from '../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { findNode, type TreeNode } from './node.ts';
import { treeOf } from './formats.ts';

/** The most nodes or fields of one page, and the most entries of a sparse table that are looked at for one. */
export const MOST_ROWS = 4096;
const MOST_LOOKED_AT = 65536;

/** The node at `path`; `''` is the image. Throws `structure.no-node`. */
export function structureNode(image: FormatNode, path: string): Maybe<StructureNode> {
  return run(
    (function* (): Steps<StructureNode> {
      return outside(yield* need(image, path), path);
    })(),
  );
}

/** Children of `path` from index `start` on, at most `limit`. Throws `structure.no-node`. */
export function structureChildren(
  image: FormatNode,
  path: string,
  start: number,
  limit: number,
): Maybe<StructurePage> {
  return run(children(image, path, start, Math.min(limit, MOST_ROWS)));
}

/** Fields of `path` from index `start` on, at most `limit`. Throws `structure.no-node`. */
export function structureFields(
  image: FormatNode,
  path: string,
  start: number,
  limit: number,
): Maybe<StructureFields> {
  return run(fields(image, path, start, Math.min(limit, MOST_ROWS)));
}

function* children(image: FormatNode, path: string, start: number, limit: number): Steps<StructurePage> {
  const source = (yield* need(image, path)).children;
  if (source === undefined) return { nodes: [], next: null };
  const nodes: StructureNode[] = [];
  const end = Math.min(source.count, start + MOST_LOOKED_AT);
  let index = start;
  for (; index < end && nodes.length < limit; index++) {
    const node = yield* wait(source.at(index));
    if (node === undefined) continue;
    const name = source.nameOf(index);
    nodes.push(outside(node, path === '' ? name : `${path}/${name}`));
  }
  return { nodes, next: index < source.count ? index : null };
}

function* fields(image: FormatNode, path: string, start: number, limit: number): Steps<StructureFields> {
  const source = (yield* need(image, path)).fields;
  if (source === undefined) return { fields: [], total: 0 };
  const found: StructureField[] = yield* wait(source.page(start, limit));
  return { fields: found, total: source.count };
}

function* need(image: FormatNode, path: string): Steps<TreeNode> {
  const node = yield* findNode(yield* treeOf(image.format), path);
  if (node !== undefined) return node;
  throw new PlatterError('structure.no-node', `"${image.name}" has no part ${path}`, {
    image: image.name,
    value: path,
    hint: 'The image may have changed: open it again.',
  });
}

function outside(node: TreeNode, path: string): StructureNode {
  return {
    path,
    label: node.label,
    params: node.params ?? {},
    offset: node.offset,
    length: node.length,
    fieldCount: node.fields?.count ?? 0,
    childCount: node.children?.count ?? 0,
  };
}
