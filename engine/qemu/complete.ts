/** Completion: options, properties, values, ids, node-names, buses, files at the cursor. */
import type { LintContext, Option, Param, Span } from './model.ts';
import { canonicalDriver } from './model/device-kinds.ts';
import { DRIVE_KEYS } from './model/drives.ts';
import { placeDevices } from './model/placement.ts';
import { keyTree } from './model/tree.ts';
import { asWritten, own } from './model/values.ts';
import { parseCommandLine } from './parse.ts';
import { jsonPlace } from './parse/json-place.ts';
import { optionNames } from './parse/option-table.ts';
import { nameOf, unattached } from './rules/references.ts';
import { schemaFor } from './schema/bundled.ts';
import { memberAt, membersAt } from './schema/paths.ts';
import {
  deviceProperties,
  deviceProperty,
  deviceSchema,
  enumValues,
  tagValues,
  type Schema,
} from './schema/schema.ts';
import { storageModel, type StorageModel } from './storage-model.ts';

export interface Completion {
  /** What is offered, and what is written over `span`. */
  label: string;
  insert: string;
  span: Span;
  kind: 'option' | 'device' | 'key' | 'value' | 'id' | 'file';
  /** A quieter word beside it: type, default, driver. */
  detail?: string;
  /** Higher comes first; 0 for the usual. */
  rank: number;
}

interface Offer {
  label: string;
  kind: Completion['kind'];
  detail?: string;
  rank?: number;
  /** Text behind the label: `=` for a key. */
  tail?: string;
}

/** What can be written at `offset` of the text, best first. */
export function complete(text: string, offset: number, context: LintContext): Completion[] {
  const line = parseCommandLine(text, context.configs);
  const model = storageModel(line);
  const option = line.options.find((o) => o.span.start <= offset && offset <= o.span.end);
  const word = line.words.find((w) => w.span.start <= offset && offset <= w.span.end);
  if (option === undefined || offset <= option.nameSpan.end) {
    const span =
      option?.nameSpan ?? (word?.text.startsWith('-') === true ? word.span : { start: offset, end: offset });
    if (option === undefined && word !== undefined && !word.text.startsWith('-')) return [];
    const offers = optionNames().map((name): Offer => ({
      label: `-${name}`,
      kind: 'option',
      rank: STORAGE_OPTIONS.has(name) ? 1 : 0,
    }));
    return finish(offers, span, text.slice(span.start, offset));
  }
  if (option.argumentSpan === undefined || offset < option.argumentSpan.start) return [];
  if (option.json === true) return inJson(text, offset, option, model, context);
  return inArgument(text, offset, option, model, context);
}

const STORAGE_OPTIONS = new Set([
  'drive',
  'device',
  'blockdev',
  'object',
  'machine',
  'smp',
  'm',
  'boot',
  'nodefaults',
  'snapshot',
  'cdrom',
  'hda',
]);

function inArgument(
  text: string,
  offset: number,
  option: Option,
  model: StorageModel,
  context: LintContext,
): Completion[] {
  const param = option.params.find((p) => p.span.start <= offset && offset <= p.span.end);
  const schema = schemaFor(context);
  if (
    param !== undefined &&
    (param.form === 'implied' || (param.form === 'pair' && offset >= param.valueSpan.start))
  ) {
    return finish(
      valueOffers(option, param, model, schema, context),
      param.valueSpan,
      text.slice(param.valueSpan.start, offset),
    );
  }
  const span = param?.keySpan ?? { start: offset, end: offset };
  // Behind `driver=` nothing but keys can follow; before any parameter the implied one comes first.
  if (param === undefined && option.params.length === 0) {
    const implied: Param = {
      key: 'driver',
      value: '',
      form: 'implied',
      span,
      keySpan: span,
      valueSpan: span,
    };
    const first = option.name === 'object' ? { ...implied, key: 'qom-type' } : implied;
    return finish(valueOffers(option, first, model, schema, context), span, '');
  }
  const typed = text.slice(span.start, offset);
  const tail = text[span.end] === '=' ? '' : '=';
  return finish(
    keyOffers(option, param, typed, schema).map((o) => ({ ...o, tail })),
    span,
    typed,
  );
}

/** In a JSON argument: names of members and their values, with the quotes that are still missing. */
function inJson(
  text: string,
  offset: number,
  option: Option,
  model: StorageModel,
  context: LintContext,
): Completion[] {
  const place = jsonPlace(text, text.indexOf('{', option.argumentSpan?.start), offset);
  if (place === undefined) return [];
  const schema = schemaFor(context);
  const { path, part, quoted, closed } = place;
  const span = { start: place.start, end: place.end };
  const typed = text.slice(span.start, offset);
  const prefix = path.map((name) => `${name}.`).join('');
  if (part === 'key') {
    const rest = /^\s*:/.test(text.slice(span.end + (quoted && closed ? 1 : 0))) ? '' : ': ';
    return finish(
      keyOffers(option, undefined, `${prefix}${typed}`, schema).map((o) => ({
        ...o,
        label: o.label.slice(prefix.length),
      })),
      span,
      typed,
    ).map((c) => ({ ...c, insert: quoted ? c.label + (closed ? '' : `"${rest}`) : `"${c.label}"${rest}` }));
  }
  const param: Param = {
    key: prefix + place.key,
    value: '',
    form: 'pair',
    span,
    keySpan: span,
    valueSpan: span,
  };
  return valueOffers(option, param, model, schema, context)
    .flatMap((offer) => {
      const literal = isBoolean(option, param.key, schema);
      if (literal && quoted) return [];
      const label = literal ? (offer.label === 'on' ? 'true' : 'false') : offer.label;
      const insert = literal ? label : quoted ? label + (closed ? '' : '"') : `"${label}"`;
      return finish([{ ...offer, label }], span, typed).map((c) => ({ ...c, insert }));
    })
    .sort((a, b) => b.rank - a.rank || a.label.localeCompare(b.label));
}

function isBoolean(option: Option, key: string, schema: Schema): boolean {
  if (option.name === 'device') {
    const driver = option.params.find((p) => p.key === 'driver')?.value ?? '';
    return deviceProperty(schema, canonicalDriver(driver), key)?.[1] === 'bool';
  }
  const root = option.name === 'object' ? 'ObjectOptions' : 'BlockdevOptions';
  const type = schema.types[memberAt(schema, root, keyTree(option.params), key.split('.'))?.type ?? ''];
  return type?.kind === 'builtin' && type.json === 'boolean';
}

function finish(offers: Offer[], span: Span, typed: string): Completion[] {
  const wanted = typed.toLowerCase();
  return offers
    .filter((o) => o.label.toLowerCase().includes(wanted))
    .map((o) => ({
      label: o.label,
      insert: o.label + (o.tail ?? ''),
      span,
      kind: o.kind,
      ...(o.detail === undefined ? {} : { detail: o.detail }),
      rank: (o.rank ?? 0) + (o.label.toLowerCase().startsWith(wanted) ? 2 : 0),
    }))
    .sort((a, b) => b.rank - a.rank || a.label.localeCompare(b.label));
}

function keyOffers(option: Option, current: Param | undefined, typed: string, schema: Schema): Offer[] {
  const used = new Set(option.params.filter((p) => p !== current).map((p) => p.key));
  const offers = new Map<string, Offer>();
  const add = (label: string, detail?: string, rank = 0): void => {
    if (!used.has(label))
      offers.set(label, { label, kind: 'key', rank, ...(detail === undefined ? {} : { detail }) });
  };
  if (option.name === 'device') {
    const driver = canonicalDriver(option.params.find((p) => p.key === 'driver')?.value ?? '');
    add('id', undefined, 1);
    add('bus', undefined, 1);
    for (const [name, type, defaultValue] of deviceProperties(schema, driver)?.values() ?? []) {
      if (name.startsWith('x-')) continue;
      const shown =
        defaultValue === undefined || defaultValue === null ? type : `${type} = ${asWritten(defaultValue)}`;
      add(name, shown, USUAL.has(name) ? 1 : 0);
    }
  } else if (option.name === 'blockdev' || option.name === 'object' || option.name === 'drive') {
    const root = option.name === 'object' ? 'ObjectOptions' : 'BlockdevOptions';
    const path = typed.split('.').slice(0, -1);
    const prefix = path.length === 0 ? '' : `${path.join('.')}.`;
    const tree = keyTree(option.params);
    for (const [name, member] of membersAt(schema, root, tree, path) ?? []) {
      add(prefix + name, member.optional === true ? undefined : '!', member.optional === true ? 0 : 1);
    }
    if (option.name === 'drive' && path.length === 0)
      for (const key of DRIVE_KEYS) add(key, undefined, USUAL.has(key) ? 1 : 0);
  }
  return [...offers.values()];
}

const USUAL = new Set([
  'drive',
  'bus',
  'addr',
  'bootindex',
  'iothread',
  'num-queues',
  'queue-size',
  'serial',
  'file',
  'if',
  'id',
  'format',
  'cache',
  'aio',
  'discard',
]);

const USUAL_DEVICES = /^(?:virtio-(?:blk|scsi)-pci|scsi-hd|scsi-cd|ide-hd|ide-cd|nvme|pcie-root-port)$/;

export const DRIVE_VALUES: Partial<Record<string, string[]>> = {
  if: ['none', 'virtio', 'ide', 'floppy', 'pflash'],
  media: ['disk', 'cdrom'],
  cache: ['none', 'writeback', 'writethrough', 'directsync', 'unsafe'],
  aio: ['threads', 'native', 'io_uring'],
  discard: ['unmap', 'ignore'],
  'detect-zeroes': ['off', 'on', 'unmap'],
  werror: ['enospc', 'report', 'ignore', 'stop'],
  rerror: ['report', 'ignore', 'stop'],
  readonly: ['on', 'off'],
  snapshot: ['on', 'off'],
  'copy-on-read': ['on', 'off'],
};

function valueOffers(
  option: Option,
  param: Param,
  model: StorageModel,
  schema: Schema,
  context: LintContext,
): Offer[] {
  const values = (list: readonly string[]): Offer[] =>
    list.map((label) => ({ label, kind: 'value' as const }));
  if (option.name === 'machine' || option.name === 'M') {
    if (param.key !== 'type') return [];
    return Object.entries(schema.machines).map(([name, m]) => ({
      label: m.alias ?? name,
      kind: 'value',
      rank: m.alias === undefined ? 0 : 1,
    }));
  }
  if (option.name === 'device') return deviceValues(option, param, model, schema);
  if (option.name === 'drive') {
    if (param.key === 'format' || param.key === 'driver') return values(tagValues(schema, 'BlockdevOptions'));
    if (param.key === 'file' || param.key === 'file.filename') return files(context);
    const known = own(DRIVE_VALUES, param.key);
    if (known !== undefined) return values(known);
  }
  if (/(?:^|\.)filename$/.test(param.key)) return files(context);
  const root = option.name === 'object' ? 'ObjectOptions' : 'BlockdevOptions';
  if (option.name === 'blockdev' && param.key === 'throttle-group') {
    return model.objects
      .filter((o) => o.type === 'throttle-group')
      .map((o) => ({ label: o.id ?? '', kind: 'id' }));
  }
  const member = memberAt(schema, root, keyTree(option.params), param.key.split('.'));
  if (member === undefined) return [];
  const found = enumValues(schema, member.type);
  if (found !== undefined) return values(found);
  const type = schema.types[member.type];
  if (type?.kind === 'builtin' && type.json === 'boolean') return values(['on', 'off']);
  if (type?.kind === 'alternate') return [...model.nodeByName.keys()].map((label) => ({ label, kind: 'id' }));
  return [];
}

function files(context: LintContext): Offer[] {
  return [...(context.files ?? [])].map(([label, { format }]) => ({ label, kind: 'file', detail: format }));
}

function deviceValues(option: Option, param: Param, model: StorageModel, schema: Schema): Offer[] {
  const driver = canonicalDriver(option.params.find((p) => p.key === 'driver')?.value ?? '');
  switch (param.key) {
    case 'driver':
      return [...Object.keys(schema.devices), ...Object.keys(schema.aliases)].map((label): Offer => {
        const bus = deviceSchema(schema, label)?.bus;
        return {
          label,
          kind: 'device',
          rank: USUAL_DEVICES.test(label) ? 1 : 0,
          ...(bus === undefined ? {} : { detail: bus }),
        };
      });
    case 'drive': {
      const free = new Set(unattached(model).map(nameOf));
      const names = [
        ...model.drives.filter((d) => d.if === 'none').map((d) => d.id),
        ...model.blockdevs.map((n) => n.nodeName ?? ''),
      ];
      return names
        .filter((n) => n !== '')
        .map((label) => ({ label, kind: 'id', rank: free.has(label) ? 1 : 0 }));
    }
    case 'iothread':
      return model.objects
        .filter((o) => o.type === 'iothread')
        .map((o) => ({ label: o.id ?? '', kind: 'id' }));
    case 'chardev':
      return model.line.options
        .filter((o) => o.name === 'chardev')
        .map((o) => ({ label: o.params.find((p) => p.key === 'id')?.value ?? '', kind: 'id' }));
    case 'bus': {
      const { devices, buses } = placeDevices(model);
      const type = devices.find((p) => p.device.option === option)?.device.kind?.bus;
      return buses
        .filter((b) => type === undefined || b.type === type)
        .map((b) => ({ label: b.name, kind: 'id', detail: b.type }));
    }
    default: {
      const type = deviceProperty(schema, driver, param.key)?.[1];
      const words: Partial<Record<string, string[]>> = {
        bool: ['on', 'off'],
        OnOffAuto: ['on', 'off', 'auto'],
        BlockdevOnError: ['report', 'ignore', 'enospc', 'stop', 'auto'],
      };
      return (words[type ?? ''] ?? []).map((label) => ({ label, kind: 'value' }));
    }
  }
}
