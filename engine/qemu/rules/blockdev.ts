/** -blockdev: names, order, references, permissions; checked against the QAPI schema. */
import { addParam, insertOptionAfter, removeOption, removeParam, setKey, setValue } from '../edit.ts';
import type { LintContext, Option, Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { valueAt, type KeyTree } from '../model/tree.ts';
import { readBool } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import { bundledSchema, schemaFor } from '../schema/bundled.ts';
import { checkQapi } from '../schema/check.ts';
import { deviceProperty } from '../schema/schema.ts';
import { childNode, type BlockNode, type StorageModel } from '../storage-model.ts';
import { freeName } from './drive.ts';
import { driveReferences, nameOf, suggestions, unattached } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

/** Every node with the `-blockdev` or `-drive` it comes from, inline children included. */
function* allNodes(model: StorageModel): Iterable<{ node: BlockNode; top: boolean }> {
  const visit = function* (node: BlockNode, top: boolean): Iterable<{ node: BlockNode; top: boolean }> {
    yield { node, top };
    for (const child of node.children) if (child.node !== undefined) yield* visit(child.node, false);
  };
  for (const node of model.blockdevs) yield* visit(node, true);
}

const MAX_NODE_NAME = 31;

/** What a `-drive` or `-device` key is called in a block node. */
const DRIVE_ONLY = new Set([
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
    *find({ model, line }): Iterable<Finding> {
      for (const node of model.blockdevs) {
        for (const param of node.option.params) {
          if (!DRIVE_ONLY.has(param.key) || param.variable === true) continue;
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
    id: 'B07',
    severity: 'error',
    qemu: [
      "Permission conflict on node '{node}': permissions '{permissions}' are both required by {one} and unshared by {other}",
    ],
    *find({ model }): Iterable<Finding> {
      yield* permissionConflicts(model);
    },
  }),
  rule({
    id: 'B08',
    severity: 'error',
    qemu: [
      "Parameter '{key}' is unexpected",
      "Parameter '{key}' does not accept value '{value}'",
      "Parameter '{key}' is missing",
      "Parameter '{key}' expects 'on' or 'off'",
      "Parameter '{key}' expects integer",
      "Expected '=' after parameter '{key}'",
    ],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      const sure = schema.version === context.version || schema !== bundledSchema;
      for (const node of model.blockdevs) {
        if (node.option.word?.variables !== undefined || node.option.params.length === 0) continue;
        for (const param of node.option.params) {
          if (param.form.startsWith('short'))
            yield {
              span: param.span,
              params: { key: param.key },
              says: 5,
              variant: 'short',
              fixes: [fix('set', { text: `${param.key}=on` }, setValue(node.option, param, 'on'))],
            };
        }
        for (const found of checkQapi(schema, 'BlockdevOptions', node.tree)) {
          const name = found.path.split('.').at(-1) ?? found.path;
          const own = found.path.split('.')[0];
          if (
            found.kind === 'unknown' &&
            (DRIVE_ONLY.has(found.path) || found.param?.form.startsWith('short') === true)
          )
            continue;
          if (own === 'cache' && found.path === 'cache') continue;
          const near =
            found.known === undefined
              ? undefined
              : nearest(found.kind === 'unknown' ? name : found.value, found.known);
          // A newer QEMU may know what this schema does not.
          if (!sure && near === undefined && found.kind !== 'missing') continue;
          const param = found.param;
          yield {
            span:
              param === undefined
                ? (node.driverParam?.span ?? node.option.nameSpan)
                : found.kind === 'unknown'
                  ? param.keySpan
                  : param.valueSpan,
            params: {
              key: found.path,
              value: found.value,
              values: (found.known ?? []).slice(0, 40).join(', '),
              ...(near === undefined ? {} : { near }),
            },
            says: SAYS[found.kind],
            variant: near === undefined ? found.kind : `${found.kind}-suggest`,
            fixes:
              near === undefined || param === undefined
                ? []
                : [nearFix(node.option, param, found.kind, name, near)],
          };
        }
      }
    },
  }),
  rule({
    id: 'B09',
    severity: 'error',
    qemu: ["Invalid parameter type for '{key}', expected: {type}"],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      for (const node of model.blockdevs) {
        if (node.option.json !== true) continue;
        for (const found of checkQapi(schema, 'BlockdevOptions', node.tree, true)) {
          if (found.kind !== 'json-type' || found.param === undefined) continue;
          yield jsonType(node.option, found.param, found.value);
        }
      }
      for (const device of model.devices) {
        if (device.option.json !== true) continue;
        for (const param of device.option.params) {
          const expected = jsonTypeOf(device.driver, param.key, context);
          if (expected !== undefined && param.json === 'string')
            yield jsonType(device.option, param, expected);
        }
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

const SAYS: Record<string, number> = { unknown: 0, value: 1, missing: 2, boolean: 3, integer: 4 };

function nearFix(
  option: Option,
  param: Param,
  kind: string,
  name: string,
  near: string,
): ReturnType<typeof fix> {
  return kind === 'unknown'
    ? fix(
        'replace',
        { from: name, to: near },
        setKey(option, param, [...param.key.split('.').slice(0, -1), near].join('.')),
      )
    : fix('replace', { from: param.value, to: near }, setValue(option, param, near));
}

function jsonType(option: Option, param: Param, expected: string): Finding {
  const word = option.word;
  const plain = word !== undefined && param.value !== '' && /^[\w.-]+$/.test(param.value);
  const value = expected === 'boolean' ? (readBool(param.value) === true ? 'true' : 'false') : param.value;
  return {
    span: param.valueSpan,
    params: { key: param.key, type: expected, value: param.value },
    fixes: plain
      ? [fix('replace', { from: `"${param.value}"`, to: value }, { span: param.valueSpan, text: value })]
      : [],
  };
}

/** The JSON type that a device property demands, when it is not a string. */
function jsonTypeOf(driver: string, key: string, context: LintContext): string | undefined {
  const type = deviceProperty(schemaFor(context), driver, key)?.[1];
  if (type === undefined || key === 'addr') return undefined;
  if (type === 'bool') return 'boolean';
  return /^u?int\d+$/.test(type) ? 'integer' : undefined;
}

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
