/** -blockdev: nodes that name each other, their order, and what two parents of one may do at a time. */
import { insertOptionAfter, removeOption, setValue } from '../edit.ts';
import type { Option, Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { valueAt, type KeyTree } from '../model/tree.ts';
import { readBool } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import { childNode, type BlockNode, type StorageModel } from '../storage-model.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';
import { allNodes } from './blockdev.ts';

function missingNode(model: StorageModel, node: BlockNode, ref: Param, says: number): Finding {
  const candidates = [...model.nodeByName.keys()].filter((n) => n !== node.nodeName);
  const near = nearest(ref.value, candidates);
  const looksLikeFile = /[/.]/.test(ref.value) && near === undefined;
  const role = ref.key;
  return {
    span: ref.valueSpan,
    params: { name: ref.value, ...(near === undefined ? {} : { near }) },
    says,
    variant: looksLikeFile ? 'file' : near === undefined ? 'message' : 'suggest',
    fixes:
      near !== undefined
        ? [fix('replace', { from: ref.value, to: near }, setValue(node.option, ref, near))]
        : looksLikeFile && node.option.json !== true
          ? [
              fix(
                'set',
                { text: `${role}.driver=file,${role}.filename=…` },
                {
                  span: ref.keySpan,
                  text: `${role}.driver=file,${role}.filename`,
                },
              ),
            ]
          : [],
  };
}

/** Moves the later option in front of the one that needs it. */
function moveAfter(
  line: StorageModel['line'],
  user: Option,
  provider: Option,
): ReturnType<typeof removeOption>[] {
  const previous = line.options[line.options.indexOf(user) - 1];
  const argument = line.text.slice(provider.argumentSpan?.start ?? provider.span.end, provider.span.end);
  const insert =
    previous === undefined
      ? { span: { start: user.span.start, end: user.span.start }, text: `-${provider.name} ${argument} ` }
      : insertOptionAfter(line, previous, provider.name, argument);
  return [insert, removeOption(line, provider)];
}

/** Nodes that two parents want to write to. */
function* permissionConflicts(model: StorageModel): Iterable<Finding> {
  const parents = new Map<BlockNode, { who: string; writes: boolean; span: Finding['span'] }[]>();
  const add = (node: BlockNode, who: string, writes: boolean, span: Finding['span']): void => {
    parents.set(node, [...(parents.get(node) ?? []), { who, writes, span }]);
  };
  for (const { node } of allNodes(model)) {
    for (const child of node.children) {
      const target = child.ref === undefined ? undefined : childNode(model, child);
      if (target === undefined || child.ref === undefined) continue;
      // raw and filters take only what their own parents take; a backing file is only read.
      const writes =
        child.role === 'file' && node.layer === 'format' && node.driver !== 'raw' && !isReadOnly(node.tree);
      if (writes || child.role === 'backing')
        add(target, `node '${node.nodeName ?? ''}'`, writes, child.ref.valueSpan);
    }
  }
  for (const { device, param, target } of driveReferences(model)) {
    if (target === undefined || 'root' in target) continue;
    if (readBool(deviceParam(device, 'share-rw')?.value) === true) continue;
    add(
      target,
      device.id ?? device.driver,
      !isReadOnly(target.tree) && device.kind?.removable !== true,
      param.valueSpan,
    );
  }
  for (const [node, list] of parents) {
    for (let i = 1; i < list.length; i++) {
      if (!list[i].writes && !list.slice(0, i).some((p) => p.writes)) continue;
      const other = list.slice(0, i).find((p) => p.writes || list[i].writes) ?? list[0];
      const top = list[i].who.startsWith('node ') ? undefined : topOf(model, node);
      yield {
        span: list[i].span,
        params: {
          node: node.nodeName ?? node.driver,
          one: other.who,
          other: list[i].who,
          permissions: 'write',
        },
        related: [other.span],
        fixes:
          top?.nodeName === undefined
            ? []
            : [
                fix(
                  'replace',
                  { from: node.nodeName ?? '', to: top.nodeName },
                  { span: list[i].span, text: top.nodeName },
                ),
              ],
      };
    }
  }
}

function isReadOnly(tree: KeyTree): boolean {
  return readBool(valueAt(tree, 'read-only')) === true;
}

/** The format node that stands over a node. */
function topOf(model: StorageModel, node: BlockNode): BlockNode | undefined {
  return model.blockdevs.find((n) =>
    n.children.some((c) => c.role === 'file' && childNode(model, c) === node),
  );
}

export const blockdevReferenceRules = [
  rule({
    id: 'B05',
    severity: 'error',
    qemu: [
      "Cannot find device='{name}' nor node-name='{name}'",
      "Could not open backing file: Cannot find device='{name}' nor node-name='{name}'",
    ],
    *find({ model, line }): Iterable<Finding> {
      for (const { node } of allNodes(model)) {
        for (const child of node.children) {
          const ref = child.ref;
          if (ref === undefined || ref.variable === true) continue;
          const target = model.nodeByName.get(ref.value);
          const drive = model.driveById.get(ref.value);
          const says = child.role === 'backing' ? 1 : 0;
          if (target === undefined && drive === undefined) {
            yield missingNode(model, node, ref, says);
            continue;
          }
          const option = target?.option ?? drive?.option;
          // QEMU makes all -blockdev before any -drive, each kind in the order of the line.
          const late =
            option?.name !== 'blockdev' || line.options.indexOf(option) > line.options.indexOf(node.option);
          if (option === undefined || !late || option === node.option) continue;
          yield {
            span: ref.valueSpan,
            params: { name: ref.value },
            variant: 'order',
            says,
            related: [option.span],
            fixes:
              option.name !== 'blockdev'
                ? []
                : [fix('reorder', { what: ref.value }, ...moveAfter(line, node.option, option))],
          };
        }
      }
    },
  }),
  rule({
    id: 'B07',
    severity: 'error',
    qemu: [
      "Permission conflict on node '{node}': permissions '{permissions}' are both required by {one} and unshared by {other}",
    ],
    *find({ model }): Iterable<Finding> {
      yield* permissionConflicts(model);
    },
  }),
];
