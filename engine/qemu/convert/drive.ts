/** `-blockdev` → `-drive`: named nodes are written into the drive that uses them. Source: blockdev.c (`blockdev_init`). */
import { applyEdits, removeOption } from '../edit.ts';
import type { CommandLine, Option, TextEdit } from '../model.ts';
import { isIdentifier, readBool } from '../model/values.ts';
import { driveReferences } from '../rules/references.ts';
import { childNode, storageModel, type BlockNode, type StorageModel } from '../storage-model.ts';
import type { Conversion, ConversionNote } from './notes.ts';
import { writeOption, type Pair } from './write.ts';

/** A filter's own keys do not pass to its child when that is named, but they do when it is inline. */
const INHERITED: Readonly<Record<string, string>> = {
  'read-only': 'off',
  'cache.direct': 'off',
  'cache.no-flush': 'off',
};

/** The line with its block nodes as drives. Nodes that cannot be said so stay, with a note that says why. */
export function toDrive(line: CommandLine): Conversion {
  const model = storageModel(line);
  const notes: ConversionNote[] = [];
  const edits: TextEdit[] = [];
  const removed = new Set<Option>();
  const users = countUsers(model);
  for (const node of model.blockdevs) {
    if (!driveReferences(model).some((r) => r.target === node)) continue;
    const nodes = below(model, node);
    const reason = hindrance(node, nodes, users);
    if (reason !== undefined) {
      notes.push({
        key: `convert.kept.${reason}`,
        params: { drive: node.nodeName ?? node.driver },
        span: node.span,
      });
      continue;
    }
    edits.push({ span: node.option.span, text: writeOption('drive', drivePairs(model, node)) });
    for (const inner of nodes) if (inner.option !== node.option) removed.add(inner.option);
  }
  for (const option of removed) edits.push(removeOption(line, option));
  return { text: applyEdits(line.text, edits), notes };
}

/** How often each node is used: by devices, by other nodes. */
function countUsers(model: StorageModel): Map<BlockNode, number> {
  const users = new Map<BlockNode, number>();
  const add = (node: BlockNode | undefined): void => {
    if (node !== undefined) users.set(node, (users.get(node) ?? 0) + 1);
  };
  for (const { target } of driveReferences(model))
    if (target !== undefined && !('root' in target)) add(target);
  const visit = (node: BlockNode, depth: number): void => {
    for (const child of node.children) {
      if (child.ref !== undefined) add(childNode(model, child));
      if (child.node !== undefined && depth < 32) visit(child.node, depth + 1);
    }
  };
  for (const node of [...model.blockdevs, ...model.drives.map((d) => d.root)]) visit(node, 0);
  return users;
}

/** The node and every named node below it. */
function below(model: StorageModel, node: BlockNode, found: BlockNode[] = []): BlockNode[] {
  if (found.includes(node)) return found;
  found.push(node);
  for (const child of node.children) {
    const next = childNode(model, child);
    if (next !== undefined) below(model, next, found);
  }
  return found;
}

function hindrance(node: BlockNode, nodes: BlockNode[], users: Map<BlockNode, number>): string | undefined {
  if (nodes.some((n) => n.option.word?.variables !== undefined)) return 'variable';
  if (nodes.some((n) => n.option.name === 'blockdev' && (users.get(n) ?? 0) > 1)) return 'node-shared';
  if (nodes.some((n) => n.children.some((c) => c.cut === true))) return 'node-null';
  if (!isIdentifier(node.nodeName ?? '')) return 'node-name';
  return undefined;
}

function drivePairs(model: StorageModel, node: BlockNode): Pair[] {
  const pairs: Pair[] = [
    ['if', 'none'],
    ['id', node.nodeName ?? ''],
  ];
  for (const [key, value] of nodePairs(model, node, '', undefined, 0)) {
    // The node is named by the drive's id; ids and node names share their space.
    if (key === 'node-name') continue;
    pairs.push([key === 'driver' ? 'format' : key === 'read-only' ? 'readonly' : key, value]);
  }
  return pairs;
}

function nodePairs(
  model: StorageModel,
  node: BlockNode,
  prefix: string,
  parent: Map<string, string> | undefined,
  depth: number,
): Pair[] {
  // The members below `file.` of an inline child are keys of the same option.
  const place = node.nodeNameParam ?? node.driverParam;
  const head = place === undefined ? '' : place.key.slice(0, place.key.lastIndexOf('.') + 1);
  const own = new Map<string, string>();
  for (const { key, value } of node.option.params)
    if (key.startsWith(head)) own.set(key.slice(head.length), value);
  const pairs: Pair[] = [];
  for (const [key, value] of own) {
    const child = node.children.find((c) => c.ref !== undefined && c.role === key);
    const target = child === undefined ? undefined : childNode(model, child);
    if (target === undefined || depth > 32) pairs.push([prefix + key, value]);
    else pairs.push(...nodePairs(model, target, `${prefix}${key}.`, own, depth + 1));
  }
  if (parent !== undefined) {
    for (const [key, off] of Object.entries(INHERITED))
      if (!own.has(key) && readBool(parent.get(key)) === true) pairs.push([prefix + key, off]);
  }
  return pairs;
}
