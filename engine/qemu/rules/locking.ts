/** One file opened twice. Source: block/file-posix.c (`raw_check_lock_bytes`), block.c (`bdrv_default_perms`). */
import { addParam, removeParam, setValue } from '../edit.ts';
import type { Param, Span } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { paramAt, type KeyTree } from '../model/tree.ts';
import { readBool } from '../model/values.ts';
import { childNode, type BlockNode, type Device, type Drive, type StorageModel } from '../storage-model.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

/** One opening of a file by the line. */
interface Opening {
  file: string;
  writes: boolean;
  /** Refuses other writers. */
  alone: boolean;
  span: Span;
  drive?: Drive;
  root: BlockNode;
  /** The protocol node: two users of one node are a matter of permissions, not of locks. */
  node: BlockNode;
}

function nodeReadOnly(tree: KeyTree): boolean {
  return readBool(paramAt(tree, 'read-only')?.value) === true;
}

function deviceShares(device: Device): boolean {
  return readBool(deviceParam(device, 'share-rw')?.value) === true;
}

/** The file under a node, through raw and filters, and whether a format with metadata stands over it. */
export function bottom(
  model: StorageModel,
  root: BlockNode,
): { node: BlockNode; metadata: boolean } | undefined {
  let node: BlockNode | undefined = root;
  let metadata = false;
  for (let depth = 0; depth < 16 && node !== undefined; depth++) {
    if (node.layer === 'protocol') return { node, metadata };
    if (node.layer === 'format' && node.driver !== 'raw' && node.driver !== '') metadata = true;
    const child: BlockNode['children'][number] | undefined = node.children.find((c) => c.role === 'file');
    node = child === undefined ? undefined : childNode(model, child);
  }
  return undefined;
}

/** The files under a node: one, or one for each child of a quorum. */
export function bottoms(
  model: StorageModel,
  root: BlockNode,
  depth = 0,
): { node: BlockNode; metadata: boolean; readOnly: boolean }[] {
  const readOnly = nodeReadOnly(root.tree);
  if (root.driver !== 'quorum' || depth > 8) {
    const under = bottom(model, root);
    return under === undefined ? [] : [{ ...under, readOnly }];
  }
  return root.children.flatMap((link) => {
    const child = link.role.startsWith('children.') ? childNode(model, link) : undefined;
    const under = child === undefined ? [] : bottoms(model, child, depth + 1);
    return under.map((found) => ({ ...found, readOnly: readOnly || found.readOnly }));
  });
}

function locks(tree: KeyTree): boolean {
  const locking = paramAt(tree, 'locking') ?? paramAt(tree, 'file.locking');
  return locking?.value !== 'off';
}

function openings(model: StorageModel): Opening[] {
  const users = new Map<unknown, Device[]>();
  for (const { target, device } of driveReferences(model)) {
    if (target === undefined) continue;
    const root = 'root' in target ? target.root : target;
    users.set(root, [...(users.get(root) ?? []), device]);
  }
  const found: Opening[] = [];
  for (const drive of model.drives) {
    const under = bottom(model, drive.root);
    if (under?.node.filename === undefined || under.node.driver !== 'file' || !locks(drive.tree)) continue;
    if (drive.option.word?.variables !== undefined) continue;
    const devices = users.get(drive.root) ?? [];
    const attached = devices.length > 0 || drive.if !== 'none';
    // Probed, it may be a raw file that nothing writes.
    if (drive.format === undefined && !attached) continue;
    // A raw drive that no device uses yet takes no write permission.
    const writes = !drive.readOnly && !drive.snapshot && (under.metadata || attached);
    found.push({
      file: normal(under.node.filename),
      writes,
      // snapshot=on opens the image as a backing file, which others may not write.
      alone: under.metadata || drive.snapshot || (attached && !devices.some(deviceShares)),
      span: drive.fileParam?.valueSpan ?? drive.span,
      drive,
      root: drive.root,
      node: under.node,
    });
  }
  const inner = new Set<BlockNode>();
  for (const node of model.blockdevs)
    for (const c of node.children)
      if (c.ref !== undefined) {
        const target = model.nodeByName.get(c.ref.value);
        if (target !== undefined) inner.add(target);
      }
  for (const root of model.blockdevs) {
    if (inner.has(root)) continue;
    const devices = users.get(root) ?? [];
    for (const under of bottoms(model, root)) {
      if (under.node.filename === undefined || under.node.driver !== 'file' || !locks(under.node.tree))
        continue;
      if (!under.metadata && devices.length === 0) continue;
      found.push({
        file: normal(under.node.filename),
        writes: !under.readOnly,
        alone: under.metadata || !devices.some(deviceShares),
        span: under.node.filenameParam?.valueSpan ?? root.span,
        root,
        node: under.node,
      });
    }
  }
  return found;
}

function normal(file: string): string {
  return file.replace(/^(?:\.\/)+/, '').replace(/\/{2,}/g, '/');
}

export const lockingRules = [
  rule({
    id: 'L01',
    severity: 'error',
    qemu: [
      'Failed to get "write" lock',
      'Failed to get shared "write" lock',
      'Is another process using the image [{file}]?',
    ],
    *find({ model }): Iterable<Finding> {
      const seen: Opening[] = [];
      for (const opening of openings(model)) {
        const first = seen.find(
          (o) =>
            o.file === opening.file &&
            o.node !== opening.node &&
            ((o.writes && opening.alone) || (o.alone && opening.writes)),
        );
        seen.push(opening);
        if (first === undefined) continue;
        yield {
          span: opening.span,
          params: { file: opening.file },
          says: opening.writes ? 0 : 1,
          related: [first.span],
        };
      }
    },
  }),
  rule({
    id: 'L03',
    severity: 'error',
    qemu: ['Could not open backing file: Failed to get shared "write" lock'],
    *find({ model, context }): Iterable<Finding> {
      const all = openings(model);
      for (const overlay of all) {
        const backing = context.files?.get(overlay.file)?.backing;
        if (backing === undefined) continue;
        const base = all.find((o) => o.file === normal(backing) && o.writes);
        if (base === undefined) continue;
        yield {
          span: overlay.span,
          params: { overlay: overlay.file, base: base.file },
          related: [base.span],
          fixes:
            base.drive === undefined
              ? []
              : [fix('add', { text: 'readonly=on' }, addParam(base.drive.option, 'readonly', 'on'))],
        };
      }
    },
  }),
  rule({
    id: 'L04',
    severity: 'danger',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      for (const device of model.devices) {
        const share = deviceParam(device, 'share-rw');
        if (share === undefined || readBool(share.value) !== true || device.kind?.role !== 'disk') continue;
        yield {
          span: share.span,
          params: { text: 'share-rw=on', what: device.id ?? device.driver },
          fixes: [fix('delete', { what: 'share-rw=on' }, removeParam(line, device.option, share))],
        };
      }
      for (const option of line.options) {
        if (option.name !== 'drive' && option.name !== 'blockdev') continue;
        const locking: Param | undefined = option.params.find(
          (p) => p.key === 'locking' || p.key.endsWith('.locking'),
        );
        if (locking?.value !== 'off') continue;
        yield {
          span: locking.span,
          params: {
            text: `${locking.key}=off`,
            what: option.params.find((p) => p.key === 'id' || p.key === 'node-name')?.value ?? '',
          },
          fixes: [fix('set', { text: `${locking.key}=auto` }, setValue(option, locking, 'auto'))],
        };
      }
    },
  }),
];
