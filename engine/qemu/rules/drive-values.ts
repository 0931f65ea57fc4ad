/** -drive: file, format and the options that belong elsewhere. */
import { addParam, removeParam, setKey, setValue } from '../edit.ts';
import type { Option, Param } from '../model.ts';
import { protocolOf, PROTOCOLS } from '../model/filename.ts';
import { paramAt } from '../model/tree.ts';
import { own } from '../model/values.ts';
import { schemaFor } from '../schema/bundled.ts';
import { qapiMembers, tagValues } from '../schema/schema.ts';
import { nearest } from '../parse/nearest.ts';
import { DRIVE_KEYS } from '../model/drives.ts';
import { childNode, type BlockNode, type Device, type Drive, type StorageModel } from '../storage-model.ts';
import { CHANGES } from './changes.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding, type RuleScope } from './rule.ts';

/** The `-device` options that `-drive` had until QEMU 3.0, by their new name. */
const MOVED: Record<string, string> = {
  serial: 'serial',
  addr: 'addr',
  cyls: 'cyls',
  heads: 'heads',
  secs: 'secs',
  trans: 'bios-chs-trans',
  bootindex: 'bootindex',
  iothread: 'iothread',
  logical_block_size: 'logical_block_size',
  physical_block_size: 'physical_block_size',
};

/** Old names of throttling and other options that `-drive` still takes (blockdev.c, `qemu_opt_rename`). */
const OLD_DRIVE_KEYS =
  /^(?:iops|bps)(?:_(?:rd|wr|max|size|rd_max|wr_max))?$|^(?:iops|bps)_(?:max|rd_max|wr_max)_length$|^(?:readonly|read-only|cache|cache\..*|throttling\..*|copy-on-read|auto-read-only|force-share|detect-zeroes|discard|aio|boot|werror|rerror|stats-.*|file|backing|data-file|encrypt|key-secret)$/;

function deviceOf(model: StorageModel, drive: Drive): Device | undefined {
  return driveReferences(model).find((r) => r.target === drive)?.device;
}

/** The value of a parameter when it is known. */
export function known(param: Param | undefined): Param | undefined {
  return param?.variable === true ? undefined : param;
}

/** `, `-separated bits of a file name with an undoubled comma: bare words right behind `file=`. */
function cutNameParts(option: Option, file: Param): Param[] {
  const index = option.params.indexOf(file);
  const parts: Param[] = [];
  for (const param of option.params.slice(index + 1)) {
    if (!param.form.startsWith('short') || DRIVE_KEYS.has(param.key)) break;
    parts.push(param);
  }
  return parts;
}

function* removedKeys({ model, line, context }: RuleScope): Iterable<Finding> {
  const schema = schemaFor(context);
  const drivers = tagValues(schema, 'BlockdevOptions');
  for (const drive of model.drives) {
    if (drive.option.name !== 'drive') continue;
    const cut = drive.fileParam === undefined ? [] : cutNameParts(drive.option, drive.fileParam);
    const members = qapiMembers(schema, 'BlockdevOptions', drive.format);
    if (drive.format !== undefined && members !== undefined && !drivers.includes(drive.format)) {
      continue;
    }
    const caches = drive.option.params.filter((p) => p.key === 'cache');
    if (caches.length > 1 && caches[0].variable !== true)
      yield {
        span: caches[0].span,
        params: { key: 'cache', format: drive.format ?? 'raw' },
        variant: 'twice',
        related: [caches[1].span],
        fixes: [
          fix('delete', { what: `cache=${caches[0].value}` }, removeParam(line, drive.option, caches[0])),
        ],
      };
    for (const param of drive.option.params) {
      if (DRIVE_KEYS.has(param.key)) continue;
      const [top] = param.key.split('.', 1);
      const isKnown = OLD_DRIVE_KEYS.test(param.key) || DRIVE_KEYS.has(top);
      if (isKnown || (members?.has(top) ?? false) || cut.includes(param) || param.variable === true) continue;
      const target = Object.hasOwn(MOVED, param.key) ? MOVED[param.key] : undefined;
      if (target !== undefined) {
        const device = deviceOf(model, drive);
        yield {
          span: param.span,
          params: { key: param.key, format: drive.format ?? 'raw', target },
          variant: 'moved',
          fixes:
            device === undefined || device.option.params.some((p) => p.key === target)
              ? []
              : [
                  fix(
                    'move',
                    { what: `${param.key}=${param.value}`, where: device.id ?? device.driver },
                    removeParam(line, drive.option, param),
                    addParam(device.option, target, param.value),
                  ),
                ],
        };
        continue;
      }
      // Without a format, a probed driver may know more than is known here; a file given in pieces has its own options.
      if (drive.format === undefined && nearest(param.key, DRIVE_KEYS) === undefined) continue;
      const near = nearest(param.key, [...DRIVE_KEYS, ...(members?.keys() ?? [])]);
      yield {
        span: param.keySpan,
        params: { key: param.key, format: drive.format ?? 'raw', ...(near === undefined ? {} : { near }) },
        ...(near === undefined ? {} : { variant: 'suggest' }),
        fixes:
          near === undefined
            ? []
            : [fix('replace', { from: param.key, to: near }, setKey(drive.option, param, near))],
      };
    }
  }
}

export const driveValueRules = [
  rule({
    id: 'D10',
    severity: 'error',
    qemu: [
      "Could not open '{file}': No such file or directory",
      "warning: short-form boolean option '{rest}' deprecated",
    ],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const file = known(drive.fileParam);
        if (file === undefined || drive.option.name !== 'drive') continue;
        const parts = cutNameParts(drive.option, file);
        if (parts.length === 0) continue;
        yield {
          span: { start: file.valueSpan.end, end: parts[0].span.end },
          params: { file: file.value, rest: parts[0].key },
          fixes: [
            fix(
              'comma',
              {},
              ...parts.map((p) => ({ span: { start: p.span.start, end: p.span.start }, text: ',' })),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'D11',
    severity: 'error',
    qemu: ["Unknown protocol '{protocol}'"],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const file = known(drive.fileParam);
        const name = file?.value ?? drive.file;
        if (name === undefined || (file !== undefined && file.key !== 'file') || /[$`]/.test(name)) continue;
        const protocol = protocolOf(name);
        if (protocol === undefined || Object.hasOwn(PROTOCOLS, protocol) || protocol === 'json') continue;
        const near = nearest(protocol, Object.keys(PROTOCOLS));
        const span = file?.valueSpan ?? drive.option.argumentSpan ?? drive.span;
        yield {
          span,
          params: { protocol, file: name },
          fixes: [
            ...(file === undefined
              ? []
              : [fix('replace', { from: name, to: `./${name}` }, setValue(drive.option, file, `./${name}`))]),
            ...(near === undefined || file === undefined
              ? []
              : [
                  fix(
                    'replace',
                    { from: `${protocol}:`, to: `${near}:` },
                    setValue(drive.option, file, `${near}${name.slice(protocol.length)}`),
                  ),
                ]),
          ],
        };
      }
    },
  }),
  rule({
    id: 'D12',
    severity: 'info',
    qemu: ["WARNING: Image format was not specified for '{file}' and probing guessed raw."],
    *find({ model, context }): Iterable<Finding> {
      for (const drive of model.drives) {
        if (drive.format !== undefined || drive.readOnly || drive.option.name !== 'drive') continue;
        const file = drive.fileParam;
        if (file === undefined || file.value === '' || file.value.startsWith('json:')) continue;
        const detected = context.files?.get(file.value)?.format;
        const guess = detected ?? guessFormat(file.value);
        yield {
          span: file.span,
          params: { file: file.value, format: guess ?? 'raw' },
          severity: detected === 'raw' ? 'warning' : 'info',
          says: detected === 'raw' ? 0 : -1,
          fixes:
            guess === undefined
              ? []
              : [fix('add', { text: `format=${guess}` }, addParam(drive.option, 'format', guess))],
        };
      }
    },
  }),
  rule({
    id: 'D13',
    severity: 'error',
    qemu: ['Image is not in {format} format'],
    *find({ model, context }): Iterable<Finding> {
      for (const { format, param, file, option } of formats(model)) {
        const detected = context.files?.get(file)?.format;
        if (detected === undefined || detected === format || format === 'raw') continue;
        if (!tagValues(schemaFor(context), 'BlockdevOptions').includes(format)) continue;
        yield {
          span: param.valueSpan,
          params: { file, format, detected },
          fixes: [fix('replace', { from: format, to: detected }, setValue(option, param, detected))],
        };
      }
    },
  }),
  rule({
    id: 'D14',
    severity: 'danger',
    qemu: [],
    *find({ model, context }): Iterable<Finding> {
      for (const { format, param, file, option } of formats(model)) {
        const detected = context.files?.get(file)?.format;
        if (detected === undefined || detected === 'raw' || format !== 'raw') continue;
        yield {
          span: param.valueSpan,
          params: { file, detected },
          fixes: [fix('replace', { from: 'raw', to: detected }, setValue(option, param, detected))],
        };
      }
    },
  }),
  rule({
    id: 'D15',
    severity: 'error',
    qemu: ["Cannot specify both 'driver' and 'format'"],
    *find({ model, line }): Iterable<Finding> {
      for (const drive of model.drives) {
        const format = paramAt(drive.tree, 'format');
        const driver = paramAt(drive.tree, 'driver');
        if (format === undefined || driver === undefined) continue;
        yield {
          span: driver.span,
          params: { format: format.value, driver: driver.value },
          related: [format.span],
          fixes: [
            fix('delete', { what: `driver=${driver.value}` }, removeParam(line, drive.option, driver)),
            fix('delete', { what: `format=${format.value}` }, removeParam(line, drive.option, format)),
          ],
        };
      }
    },
  }),
  rule({
    id: 'D16',
    severity: 'error',
    from: '3.0',
    qemu: ["Block format '{format}' does not support the option '{key}'"],
    find: removedKeys,
  }),
  rule({
    id: 'D22',
    severity: 'error',
    qemu: ["Unknown driver '{format}'"],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      const drivers = tagValues(schema, 'BlockdevOptions');
      for (const drive of model.drives) {
        const param = known(drive.formatParam);
        if (
          param === undefined ||
          drivers.includes(param.value) ||
          CHANGES.some((c) => c.name === param.value)
        )
          continue;
        const near = nearest(param.value, drivers);
        // A newer QEMU may have a driver more.
        if (near === undefined && context.version !== schema.version) continue;
        yield {
          span: param.valueSpan,
          params: { format: param.value, ...(near === undefined ? {} : { near }) },
          ...(near === undefined ? {} : { variant: 'suggest' }),
          fixes:
            near === undefined
              ? []
              : [fix('replace', { from: param.value, to: near }, setValue(drive.option, param, near))],
        };
      }
    },
  }),
  rule({
    id: 'D18',
    severity: 'error',
    qemu: ['Device needs media, but drive is empty', 'could not get blockdev size: No medium found'],
    *find({ model }): Iterable<Finding> {
      const isEmpty = (drive: Drive): boolean =>
        (drive.file === undefined || drive.file === '') &&
        drive.root.children.length === 0 &&
        drive.root.layer !== 'protocol';
      for (const { device, param, target } of driveReferences(model)) {
        if (
          target === undefined ||
          !('root' in target) ||
          device.kind === undefined ||
          device.kind.removable === true
        )
          continue;
        if (!isEmpty(target) || target.option.word?.variables !== undefined) continue;
        yield {
          span: param.valueSpan,
          params: { drive: target.id, device: device.id ?? device.driver },
          says: device.kind.family === 'nvme' ? 1 : 0,
          related: [target.span],
        };
      }
      for (const drive of model.drives) {
        if (drive.option.word?.variables !== undefined || !isEmpty(drive) || drive.option.name !== 'drive')
          continue;
        if (drive.if === 'virtio' || (drive.if === 'ide' && drive.media === 'disk')) {
          yield { span: drive.span, params: { drive: drive.id, device: drive.if } };
        }
      }
    },
  }),
  rule({
    id: 'D19',
    severity: 'warning',
    from: '6.0',
    qemu: ["warning: short-form boolean option '{written}' deprecated"],
    *find({ model, line }): Iterable<Finding> {
      for (const option of line.options) {
        if (option.name !== 'drive' && option.name !== 'device') continue;
        const drive = model.drives.find((d) => d.option === option);
        const cut = drive?.fileParam === undefined ? [] : cutNameParts(option, drive.fileParam);
        for (const param of option.params) {
          if (!param.form.startsWith('short') || cut.includes(param) || param.variable === true) continue;
          yield {
            span: param.span,
            params: { key: param.key, value: param.value },
            names: { written: param.form === 'short-off' ? `no${param.key}` : param.key },
            fixes: [
              fix('set', { text: `${param.key}=${param.value}` }, setValue(option, param, param.value)),
            ],
          };
        }
      }
    },
  }),
];

const EXTENSIONS: Record<string, string> = {
  qcow2: 'qcow2',
  qcow: 'qcow',
  qed: 'qed',
  vmdk: 'vmdk',
  vdi: 'vdi',
  vhdx: 'vhdx',
  vhd: 'vpc',
  vpc: 'vpc',
  raw: 'raw',
  iso: 'raw',
};

/** What the file's name promises. */
function guessFormat(file: string): string | undefined {
  return own(EXTENSIONS, /\.([a-z0-9]+)$/i.exec(file)?.[1].toLowerCase() ?? '');
}

/** Every place that says which format a file has. */
function* formats(
  model: StorageModel,
): Iterable<{ format: string; param: Param; file: string; option: Option }> {
  for (const root of [...model.drives.map((d) => d.root), ...model.blockdevs]) {
    for (const node of withChildren(root)) {
      const param = node.driverParam;
      const below = node.children.find((c) => c.role === 'file');
      const file = below === undefined ? undefined : childNode(model, below)?.filename;
      if (param === undefined || param.variable === true || node.layer !== 'format' || file === undefined)
        continue;
      yield { format: param.value, param, file, option: node.option };
    }
  }
}

/** A node and the nodes that are written inside it. */
function* withChildren(node: BlockNode): Iterable<BlockNode> {
  yield node;
  for (const child of node.children) if (child.node !== undefined) yield* withChildren(child.node);
}
