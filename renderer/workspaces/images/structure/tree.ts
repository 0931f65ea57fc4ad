/** The tree of a format's tables as far as it has been opened. */
import { reactive, shallowReactive } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import type { StructureNode } from '#contract/structure.ts';
import { asPlainError, platter } from '../../../lib/platter.ts';
import { openKey } from '../view.ts';

/** Children fetched at once. */
const PAGE = 500;

export interface Branch {
  node: StructureNode;
  level: number;
  open: boolean;
  children: Branch[];
  /** Where the next page begins; null when all children are there. */
  next: number | null;
  loading: boolean;
}

/** A line of the tree: a node, or the offer to fetch more children of one. */
export interface TreeRow {
  branch: Branch;
  more: boolean;
}

export class StructureTree {
  readonly #handle: ImageHandle;
  readonly root: Branch;
  readonly state = shallowReactive<{ error: PlainError | null }>({ error: null });

  constructor(handle: ImageHandle, info: ImageInfo) {
    this.#handle = handle;
    const file = { path: '', label: 'file', params: {}, offset: 0, length: info.fileSize, fieldCount: 0 };
    this.root = branch({ ...file, childCount: 1 }, 0);
  }

  /** All lines that are to be seen. */
  rows(): TreeRow[] {
    const rows: TreeRow[] = [];
    const add = (one: Branch): void => {
      rows.push({ branch: one, more: false });
      if (!one.open) return;
      one.children.forEach(add);
      if (one.next !== null && one.children.length > 0) rows.push({ branch: one, more: true });
    };
    add(this.root);
    return rows;
  }

  async open(one: Branch): Promise<void> {
    one.open = true;
    if (one.children.length === 0) await this.more(one);
  }

  /** Fetches the next page of children. */
  async more(one: Branch): Promise<void> {
    if (one.loading || one.next === null) return;
    one.loading = true;
    try {
      const page = await platter.call('images.structure', this.#handle, one.node.path, one.next, PAGE);
      const known = new Set(one.children.map(({ node }) => node.path));
      const fresh = page.nodes.filter(({ path }) => !known.has(path));
      one.children.push(...fresh.map((node) => branch(node, one.level + 1)));
      one.next = page.next;
      this.state.error = null;
    } catch (error) {
      this.state.error = asPlainError(error);
    } finally {
      one.loading = false;
    }
  }

  /** Opens the way down to a node and answers it; one that its parent has not fetched yet is fetched alone. */
  async reveal(path: string): Promise<Branch | null> {
    let at = this.root;
    const names = path === '' ? [] : path.split('/');
    for (let depth = 1; depth <= names.length; depth += 1) {
      await this.open(at);
      const wanted = names.slice(0, depth).join('/');
      let next = at.children.find(({ node }) => node.path === wanted);
      if (next === undefined) {
        try {
          const node = await platter.call('images.structureNode', this.#handle, wanted);
          at.children.push(branch(node, depth));
          next = at.children[at.children.length - 1];
        } catch (error) {
          this.state.error = asPlainError(error);
          return null;
        }
      }
      at = next;
    }
    return at;
  }
}

function branch(node: StructureNode, level: number): Branch {
  const next = node.childCount > 0 ? 0 : null;
  return reactive({ node, level, open: false, children: [], next, loading: false });
}

const trees = new Map<ImageHandle, { key: string; tree: StructureTree }>();

/** The image's tree; begun anew after it was reopened. */
export function treeOf(handle: ImageHandle, info: ImageInfo): StructureTree {
  const key = openKey(handle, info);
  const known = trees.get(handle);
  if (known?.key === key) return known.tree;
  const tree = new StructureTree(handle, info);
  trees.set(handle, { key, tree });
  void tree.open(tree.root);
  return tree;
}

/** Frees the trees of images that are no longer attached. */
export function keepTrees(handles: ImageHandle[]): void {
  for (const handle of trees.keys()) if (!handles.includes(handle)) trees.delete(handle);
}
