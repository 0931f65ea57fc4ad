/** Dotted keys as a tree: `file.driver=file,file.filename=x` → file → {driver, filename}. Source: util/keyval.c. */
import type { Param } from '../model.ts';

export interface KeyTree {
  /** The parameter that sets this very key. */
  param?: Param;
  children: Map<string, KeyTree>;
}

/** Deepest nesting that is read; the rest of a longer key stays in one piece. QEMU's own is below ten. */
const MAX_DEPTH = 32;

function splitKey(key: string): string[] {
  const parts = key.split('.', MAX_DEPTH + 1);
  return parts.length > MAX_DEPTH ? [...parts.slice(0, MAX_DEPTH), '…'] : parts;
}

/** Most keys have nothing below them. Never written to: `below` makes a map of its own first. */
const NOTHING: Map<string, KeyTree> = new Map();

function below(tree: KeyTree): Map<string, KeyTree> {
  if (tree.children === NOTHING) tree.children = new Map();
  return tree.children;
}

/** The tree of a list of parameters; of a key given twice the last one counts, as in QEMU. */
export function keyTree(params: readonly Param[]): KeyTree {
  const root: KeyTree = { children: new Map() };
  for (const param of params) {
    let at = root;
    if (!param.key.includes('.')) {
      const known = root.children.get(param.key);
      if (known === undefined) root.children.set(param.key, { param, children: NOTHING });
      else known.param = param;
      continue;
    }
    for (const part of splitKey(param.key)) {
      let next = at.children.get(part);
      if (next === undefined) {
        next = { children: NOTHING };
        below(at).set(part, next);
      }
      at = next;
    }
    at.param = param;
  }
  return root;
}

/** The parameter at a dotted path. */
export function paramAt(tree: KeyTree, path: string): Param | undefined {
  if (!path.includes('.')) return tree.children.get(path)?.param;
  let at: KeyTree | undefined = tree;
  for (const part of path.split('.')) at = at?.children.get(part);
  return at?.param;
}

/** The value at a dotted path. */
export function valueAt(tree: KeyTree, path: string): string | undefined {
  return paramAt(tree, path)?.value;
}
