/** Cache modes, asynchronous I/O, discard. */
import { addParam, removeParam, setValue } from '../edit.ts';
import type { Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { paramAt, type KeyTree } from '../model/tree.ts';
import { readBool } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import type { BlockNode, Drive, StorageModel } from '../storage-model.ts';
import { known } from './drive-values.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

const CACHE_MODES = ['none', 'off', 'writeback', 'writethrough', 'directsync', 'unsafe'];

/** Values of `-drive` options, and what QEMU says about others. */
const VALUES: { key: string; values: string[]; says: number }[] = [
  { key: 'aio', values: ['threads', 'native', 'io_uring'], says: 0 },
  { key: 'cache', values: CACHE_MODES, says: 1 },
  { key: 'discard', values: ['ignore', 'off', 'unmap', 'on'], says: 2 },
  { key: 'detect-zeroes', values: ['off', 'on', 'unmap'], says: 3 },
];

/** Whether the drive's file is opened with O_DIRECT (`cache.direct` wins over `cache=`). */
function isDirect(tree: KeyTree): boolean {
  const direct = paramAt(tree, 'cache.direct');
  const mode = paramAt(tree, 'cache');
  if (direct?.variable === true || mode?.variable === true) return true;
  return readBool(direct?.value) ?? ['none', 'off', 'directsync'].includes(mode?.value ?? '');
}

function deviceUsing(
  model: StorageModel,
  target: Drive | BlockNode,
): ReturnType<typeof driveReferences>[number]['device'] | undefined {
  return driveReferences(model).find((r) => r.target === target)?.device;
}

/** Every node that carries a file, with the tree that holds its `aio` and `cache.direct`. */
function* fileNodes(
  model: StorageModel,
): Iterable<{ aio: Param; tree: KeyTree; node: BlockNode; drive?: Drive }> {
  for (const drive of model.drives) {
    const aio = known(paramAt(drive.tree, 'aio')) ?? known(paramAt(drive.tree, 'file.aio'));
    if (aio !== undefined) yield { aio, tree: drive.tree, node: drive.root, drive };
  }
  // Children that stand inline take the cache options of the node above them, unless they say otherwise.
  const visit = function* (
    node: BlockNode,
    above: KeyTree,
  ): Iterable<{ aio: Param; tree: KeyTree; node: BlockNode }> {
    const tree = paramAt(node.tree, 'cache.direct') === undefined ? above : node.tree;
    const aio = known(paramAt(node.tree, 'aio'));
    if (aio !== undefined) yield { aio, tree, node };
    for (const child of node.children) if (child.node !== undefined) yield* visit(child.node, tree);
  };
  for (const node of model.blockdevs) yield* visit(node, node.tree);
}

export const cacheRules = [
  rule({
    id: 'C01',
    severity: 'error',
    qemu: ['aio=native was specified, but it requires cache.direct=on, which was not specified.'],
    *find({ model }): Iterable<Finding> {
      for (const { aio, tree, node, drive } of fileNodes(model)) {
        if (aio.value !== 'native' || isDirect(tree)) continue;
        const option = node.option;
        const cache = paramAt(tree, 'cache');
        const direct = paramAt(tree, 'cache.direct');
        const direction =
          direct !== undefined
            ? fix('set', { text: 'cache.direct=on' }, setValue(option, direct, 'on'))
            : drive === undefined
              ? fix('add', { text: 'cache.direct=on' }, addParam(option, 'cache.direct', 'on', 'boolean'))
              : cache === undefined
                ? fix('add', { text: 'cache=none' }, addParam(option, 'cache', 'none'))
                : fix('set', { text: 'cache=none' }, setValue(option, cache, 'none'));
        yield {
          span: aio.span,
          fixes: [
            ...(option.json === true && direct === undefined ? [] : [direction]),
            fix('set', { text: 'aio=threads' }, setValue(option, aio, 'threads')),
            fix('set', { text: 'aio=io_uring' }, setValue(option, aio, 'io_uring')),
          ],
        };
      }
    },
  }),
  rule({
    id: 'C02',
    severity: 'error',
    qemu: [
      'invalid aio option',
      'invalid cache option',
      'Invalid discard option',
      'invalid parameter value: {value}',
    ],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        for (const { key, values, says } of VALUES) {
          const param = known(paramAt(drive.tree, key));
          if (param === undefined || values.includes(param.value)) continue;
          const near = nearest(param.value, values);
          yield {
            span: param.valueSpan,
            says,
            params: { key, value: param.value, values: values.join(', ') },
            fixes:
              near === undefined
                ? []
                : [fix('replace', { from: param.value, to: near }, setValue(drive.option, param, near))],
          };
        }
      }
    },
  }),
  rule({
    id: 'C03',
    severity: 'danger',
    qemu: [],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const cache = paramAt(drive.tree, 'cache');
        const noFlush = paramAt(drive.tree, 'cache.no-flush');
        const param =
          cache?.value === 'unsafe' ? cache : readBool(noFlush?.value) === true ? noFlush : undefined;
        if (param === undefined || drive.snapshot || drive.readOnly) continue;
        yield {
          span: param.span,
          params: { drive: drive.id, text: `${param.key}=${param.value}` },
          fixes:
            param === cache
              ? [fix('set', { text: 'cache=writeback' }, setValue(drive.option, param, 'writeback'))]
              : [fix('set', { text: 'cache.no-flush=off' }, setValue(drive.option, param, 'off'))],
        };
      }
      for (const node of model.blockdevs) {
        const noFlush = paramAt(node.tree, 'cache.no-flush');
        if (noFlush === undefined || readBool(noFlush.value) !== true) continue;
        yield {
          span: noFlush.span,
          params: { drive: node.nodeName ?? node.driver, text: 'cache.no-flush=on' },
          fixes: [fix('set', { text: 'cache.no-flush=off' }, setValue(node.option, noFlush, 'off'))],
        };
      }
    },
  }),
  rule({
    id: 'C04',
    severity: 'silent',
    qemu: [],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const cache = paramAt(drive.tree, 'cache');
        if (cache === undefined || (cache.value !== 'writethrough' && cache.value !== 'directsync')) continue;
        const device = deviceUsing(model, drive);
        const write = device === undefined ? undefined : deviceParam(device, 'write-cache');
        if (device === undefined || write === undefined || readBool(write.value) !== true) continue;
        yield {
          span: write.span,
          params: { cache: cache.value, device: device.id ?? device.driver },
          related: [cache.span],
          fixes: [fix('set', { text: 'write-cache=off' }, setValue(device.option, write, 'off'))],
        };
      }
    },
  }),
  rule({
    id: 'C06',
    severity: 'error',
    qemu: ['setting detect-zeroes to unmap is not allowed without setting discard operation to unmap'],
    *find({ model }): Iterable<Finding> {
      for (const target of [...model.drives, ...model.blockdevs]) {
        const detect = paramAt(target.tree, 'detect-zeroes');
        const discard = paramAt(target.tree, 'discard');
        if (detect?.value !== 'unmap' || discard?.variable === true) continue;
        if (discard !== undefined && (discard.value === 'unmap' || discard.value === 'on')) continue;
        const isDrive = 'root' in target;
        yield {
          span: detect.span,
          severity: isDrive ? 'silent' : 'error',
          says: isDrive ? -1 : 0,
          variant: isDrive ? 'silent' : 'message',
          fixes: [
            fix(
              'set',
              { text: 'discard=unmap' },
              discard === undefined
                ? addParam(target.option, 'discard', 'unmap')
                : setValue(target.option, discard, 'unmap'),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'C07',
    severity: 'silent',
    qemu: [],
    *find({ model }): Iterable<Finding> {
      for (const { device, target } of driveReferences(model)) {
        if (target === undefined) continue;
        const wanted = deviceParam(device, 'discard') ?? deviceParam(device, 'discard_granularity');
        if (wanted === undefined || wanted.value === 'off' || wanted.value === '0') continue;
        const discard = paramAt(target.tree, 'discard');
        if (discard !== undefined && discard.value !== 'ignore' && discard.value !== 'off') continue;
        yield {
          span: wanted.span,
          params: { device: device.id ?? device.driver },
          related: [target.span],
          fixes: [
            fix(
              'set',
              { text: 'discard=unmap' },
              discard === undefined
                ? addParam(target.option, 'discard', 'unmap')
                : setValue(target.option, discard, 'unmap'),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'R02',
    severity: 'warning',
    qemu: ['warning: disabling copy-on-read on read-only drive'],
    *find({ model, line }): Iterable<Finding> {
      for (const drive of model.drives) {
        const cor = paramAt(drive.tree, 'copy-on-read');
        if (cor === undefined || readBool(cor.value) !== true || !drive.readOnly) continue;
        yield {
          span: cor.span,
          params: { drive: drive.id },
          fixes: [fix('delete', { what: 'copy-on-read' }, removeParam(line, drive.option, cor))],
        };
      }
    },
  }),
  rule({
    id: 'R03',
    severity: 'info',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      for (const drive of model.drives) {
        const snapshot = paramAt(drive.tree, 'snapshot');
        if (snapshot === undefined || readBool(snapshot.value) !== true) continue;
        yield { span: snapshot.span, params: { drive: drive.id } };
      }
      const all = line.options.find((o) => o.name === 'snapshot');
      if (all !== undefined) yield { span: all.span, variant: 'all' };
    },
  }),
  rule({
    id: 'R04',
    severity: 'error',
    qemu: [
      "'{value}' invalid write error action",
      "'{value}' invalid read error action",
      'werror is not supported by this bus type',
      'rerror is not supported by this bus type',
      "fdc doesn't support drive option werror",
      "fdc doesn't support drive option rerror",
    ],
    *find({ model, line }): Iterable<Finding> {
      for (const drive of model.drives) {
        const actions = ['report', 'ignore', 'stop'];
        for (const [key, values, says] of [
          ['werror', [...actions, 'enospc'], 0],
          ['rerror', actions, 1],
        ] as const) {
          const param = known(paramAt(drive.tree, key));
          if (param === undefined) continue;
          const floppy = driveReferences(model).find(
            (r) => r.target === drive && r.device.canonical === 'floppy',
          );
          if (
            floppy !== undefined &&
            values.includes(param.value) &&
            param.value !== (key === 'werror' ? 'enospc' : 'report')
          ) {
            yield {
              span: param.span,
              says: says + 4,
              variant: 'floppy',
              params: { key, device: floppy.device.id ?? floppy.device.driver },
              related: [floppy.device.span],
              fixes: [
                fix('delete', { what: `${key}=${param.value}` }, removeParam(line, drive.option, param)),
              ],
            };
            continue;
          }
          if (!['none', 'ide', 'virtio', 'scsi'].includes(drive.if)) {
            yield {
              span: param.span,
              says: says + 2,
              variant: 'bus',
              params: { key, interface: drive.if },
              fixes: [
                fix('delete', { what: `${key}=${param.value}` }, removeParam(line, drive.option, param)),
              ],
            };
            continue;
          }
          if (values.includes(param.value)) continue;
          yield {
            span: param.valueSpan,
            says,
            params: { key, value: param.value, values: values.join(', ') },
            fixes: [
              fix('replace', { from: param.value, to: 'report' }, setValue(drive.option, param, 'report')),
            ],
          };
        }
      }
    },
  }),
];
