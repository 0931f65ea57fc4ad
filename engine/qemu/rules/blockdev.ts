/** -blockdev: names, members and file names of a node by itself. */
import { addParam, removeOption, removeParam, setKey, setValue } from '../edit.ts';
import { nearest } from '../parse/nearest.ts';
import { schemaFor } from '../schema/bundled.ts';
import { qapiMembers } from '../schema/schema.ts';
import { type BlockNode, type StorageModel } from '../storage-model.ts';
import { freeName } from './drive.ts';
import { nameOf, suggestions, unattached } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

/** Every node with the `-blockdev` or `-drive` it comes from, inline children included. */
export function* allNodes(model: StorageModel): Iterable<{ node: BlockNode; top: boolean }> {
  const visit = function* (node: BlockNode, top: boolean): Iterable<{ node: BlockNode; top: boolean }> {
    yield { node, top };
    for (const child of node.children) if (child.node !== undefined) yield* visit(child.node, false);
  };
  for (const node of model.blockdevs) yield* visit(node, true);
}

const MAX_NODE_NAME = 31;

/** What a `-drive` or `-device` key is called in a block node. */
export const DRIVE_ONLY = new Set([
  'if',
  'id',
  'media',
  'index',
  'bus',
  'unit',
  'werror',
  'rerror',
  'snapshot',
  'format',
  'serial',
  'readonly',
  'copy-on-read',
]);

export const blockdevRules = [
  rule({
    id: 'B01',
    severity: 'error',
    qemu: ["'node-name' must be specified for the root node"],
    *find({ model }): Iterable<Finding> {
      for (const node of model.blockdevs) {
        if (
          node.nodeName !== undefined ||
          node.option.word?.variables !== undefined ||
          node.option.params.length === 0
        )
          continue;
        const name = freeName(
          `${node.layer === 'protocol' ? 'file' : 'disk'}0`,
          (n) => model.nodeByName.has(n) || model.driveById.has(n),
        );
        yield {
          span: node.option.nameSpan,
          params: { driver: node.driver },
          fixes: [fix('add', { text: `node-name=${name}` }, addParam(node.option, 'node-name', name))],
        };
      }
    },
  }),
  rule({
    id: 'B02',
    severity: 'error',
    qemu: ["Parameter '{key}' is unexpected"],
    *find({ model, line, context }): Iterable<Finding> {
      for (const node of model.blockdevs) {
        for (const param of node.option.params) {
          if (!DRIVE_ONLY.has(param.key) || param.variable === true) continue;
          // Some drivers have a member of that name: rbd's snapshot.
          if (qapiMembers(schemaFor(context), 'BlockdevOptions', node.driver)?.has(param.key) === true)
            continue;
          const rename =
            param.key === 'id' && node.nodeName === undefined
              ? fix('replace', { from: 'id', to: 'node-name' }, setKey(node.option, param, 'node-name'))
              : param.key === 'format' && node.driver === ''
                ? fix('replace', { from: 'format', to: 'driver' }, setKey(node.option, param, 'driver'))
                : param.key === 'readonly'
                  ? fix(
                      'replace',
                      { from: 'readonly', to: 'read-only' },
                      setKey(node.option, param, 'read-only'),
                    )
                  : fix(
                      'delete',
                      { what: `${param.key}=${param.value}` },
                      removeParam(line, node.option, param),
                    );
          yield { span: param.span, params: { key: param.key }, fixes: [rename] };
        }
      }
    },
  }),
  rule({
    id: 'B03',
    severity: 'error',
    qemu: ["Invalid parameter type for 'cache', expected: object"],
    *find({ model, line }): Iterable<Finding> {
      for (const { node } of allNodes(model)) {
        const cache = node.tree.children.get('cache')?.param;
        if (cache === undefined || cache.variable === true) continue;
        const direct = cache.value === 'none' || cache.value === 'directsync';
        const prefix = cache.key.slice(0, -'cache'.length);
        yield {
          span: cache.span,
          params: { value: cache.value },
          fixes:
            node.option.json === true
              ? []
              : [
                  direct
                    ? fix(
                        'set',
                        { text: `${prefix}cache.direct=on` },
                        { span: cache.span, text: `${prefix}cache.direct=on` },
                      )
                    : fix('delete', { what: `cache=${cache.value}` }, removeParam(line, node.option, cache)),
                ],
        };
      }
    },
  }),
  rule({
    id: 'B06',
    severity: 'error',
    qemu: [
      "Duplicate nodes with node-name='{name}'",
      "Invalid node-name: '{name}'",
      'Node name too long',
      "Device name '{name}' conflicts with an existing node name",
    ],
    *find({ model }): Iterable<Finding> {
      const seen = new Map<string, BlockNode>();
      const named = [...allNodes(model)].map((n) => n.node);
      for (const drive of model.drives) named.push(drive.root);
      for (const node of named) {
        const param = node.nodeNameParam;
        const name = node.nodeName;
        if (param === undefined || name === undefined || param.variable === true) continue;
        const first = seen.get(name);
        if (first !== undefined) {
          const fresh = freeName(name, (n) => model.nodeByName.has(n) || seen.has(n));
          yield {
            span: param.valueSpan,
            params: { name },
            related: [first.span],
            fixes: [fix('replace', { from: name, to: fresh }, setValue(node.option, param, fresh))],
          };
        } else if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(name)) {
          const clean = name.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^(?![A-Za-z])/, 'n');
          yield {
            span: param.valueSpan,
            params: { name },
            says: 1,
            variant: 'malformed',
            fixes: [fix('replace', { from: name, to: clean }, setValue(node.option, param, clean))],
          };
        } else if (name.length > MAX_NODE_NAME) {
          yield {
            span: param.valueSpan,
            params: { name, limit: String(MAX_NODE_NAME) },
            says: 2,
            variant: 'long',
            fixes: [
              fix(
                'replace',
                { from: name, to: name.slice(0, MAX_NODE_NAME) },
                setValue(node.option, param, name.slice(0, MAX_NODE_NAME)),
              ),
            ],
          };
        }
        seen.set(name, node);
      }
      for (const drive of model.drives) {
        if (drive.idParam === undefined || !model.blockdevs.some((n) => n.nodeName === drive.id)) continue;
        yield { span: drive.idParam.valueSpan, params: { name: drive.id }, says: 3, variant: 'drive' };
      }
    },
  }),
  rule({
    id: 'B10',
    severity: 'silent',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      const meant = new Set(suggestions(model).values());
      const waiting = model.devices.some((d) => d.kind?.needsDrive === true && d.drive === undefined);
      for (const target of unattached(model)) {
        if (
          'root' in target ||
          meant.has(nameOf(target)) ||
          waiting ||
          target.nodeNameParam?.variable === true
        )
          continue;
        yield {
          span: target.nodeNameParam?.valueSpan ?? target.span,
          params: { name: nameOf(target) },
          fixes: [fix('delete', { what: `-blockdev ${nameOf(target)}` }, removeOption(line, target.option))],
        };
      }
    },
  }),
  rule({
    id: 'B11',
    severity: 'error',
    qemu: ["Throttle group '{group}' does not exist"],
    *find({ model }): Iterable<Finding> {
      for (const { node } of allNodes(model)) {
        const group =
          node.driver === 'throttle' ? node.tree.children.get('throttle-group')?.param : undefined;
        if (group === undefined || group.variable === true) continue;
        const groups = model.objects
          .filter((o) => o.type === 'throttle-group' && o.id !== undefined)
          .map((o) => o.id ?? '');
        if (groups.includes(group.value)) continue;
        const near = nearest(group.value, groups) ?? (groups.length === 1 ? groups[0] : undefined);
        yield {
          span: group.valueSpan,
          params: { group: group.value },
          fixes:
            near === undefined
              ? [
                  fix(
                    'add',
                    { text: `-object throttle-group,id=${group.value}` },
                    {
                      span: { start: node.option.span.start, end: node.option.span.start },
                      text: `-object throttle-group,id=${group.value} `,
                    },
                  ),
                ]
              : [fix('replace', { from: group.value, to: near }, setValue(node.option, group, near))],
        };
      }
    },
  }),
  rule({
    id: 'B12',
    severity: 'silent',
    qemu: ['warning: Use of "backing": "" is deprecated; use "backing": null instead'],
    *find({ model }): Iterable<Finding> {
      for (const { node } of allNodes(model)) {
        for (const child of node.children) {
          if (child.role !== 'backing' || child.cut !== true) continue;
          yield {
            span: child.span,
            params: { node: node.nodeName ?? node.driver },
            says: node.option.json === true ? -1 : 0,
            severity: 'info',
          };
        }
      }
    },
  }),
];
