/** Names that QEMU does not know: devices, properties, objects, machines; values of the wrong kind; ids given twice. */
import { addParam, removeParam, setKey, setValue } from '../edit.ts';
import type { Option, Param } from '../model.ts';
import { canonicalDriver, deviceNames } from '../model/device-kinds.ts';
import { deviceParam } from '../model/devices.ts';
import { compareVersions } from '../model/version.ts';
import { own, readBool, readNumber, readSize } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import { bundledSchema, schemaFor } from '../schema/bundled.ts';
import { checkQapi } from '../schema/check.ts';
import {
  deviceProperties,
  deviceSchema,
  tagValues,
  type PropertyRow,
  type Schema,
} from '../schema/schema.ts';
import type { LintContext } from '../model.ts';
import type { Device } from '../storage-model.ts';
import { CHANGES } from './changes.ts';
import { freeName } from './drive.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

/** Members of `-device` that are no properties. */
const DEVICE_KEYS = new Set(['driver', 'id', 'bus', 'failover_pair_id']);

/** Whether the schema speaks for this very version, so that what it does not have does not exist. */
function isSure(schema: Schema, context: LintContext): boolean {
  return schema !== bundledSchema || compareVersions(context.version, schema.version) === 0;
}

function* knownDevices(devices: Device[]): Iterable<Device> {
  for (const device of devices)
    if (device.driver !== '' && device.driverParam?.variable !== true) yield device;
}

/** Where a property that is wrong here would be right: a `-drive` option, the controller, … */
const DRIVE_SIDE = new Set([
  'cache',
  'aio',
  'format',
  'file',
  'if',
  'readonly',
  'read-only',
  'media',
  'snapshot',
  'detect-zeroes',
]);

const INTEGER = /^(u?)int(8|16|32|64)$/;

/** What is wrong with a property's value, as an index into the rule's messages. */
function valueProblem(row: PropertyRow, value: string): { says: number; type: string } | undefined {
  const type = row[1];
  if (type === 'bool') return readBool(value) === undefined ? { says: 0, type: "'on' or 'off'" } : undefined;
  const integer = INTEGER.exec(type);
  if (integer !== null && row[0] !== 'addr') {
    const number = readNumber(value);
    if (number === undefined) return { says: 1, type: 'integer' };
    const bits = Number(integer[2]);
    const unsigned = integer[1] === 'u';
    const most = 2 ** (unsigned ? bits : bits - 1) - 1;
    const least = unsigned ? 0 : -(2 ** (bits - 1));
    // 64-bit limits are past what a number holds, and QEMU takes a negative number for a large unsigned one.
    if (bits === 64) return undefined;
    return number > most || number < least ? { says: 1, type: `${type}_t` } : undefined;
  }
  if (type === 'size') return readSize(value) === undefined ? { says: 1, type: 'size' } : undefined;
  const values = VALUES[type];
  return values !== undefined && !values.includes(value) ? { says: 2, type: values.join(', ') } : undefined;
}

const VALUES: Partial<Record<string, string[]>> = {
  OnOffAuto: ['on', 'off', 'auto'],
  BlockdevOnError: ['report', 'ignore', 'enospc', 'stop', 'auto'],
};

export const nameRules = [
  rule({
    id: 'O01',
    severity: 'error',
    qemu: ["'{driver}' is not a valid device model name"],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      if (model.machine.arch !== schema.arch) return;
      for (const device of knownDevices(model.devices)) {
        if (
          deviceSchema(schema, device.driver) !== undefined ||
          deviceSchema(schema, device.canonical) !== undefined
        )
          continue;
        if (CHANGES.some((c) => c.kind === 'device' && c.name === device.driver)) continue;
        const names = [...Object.keys(schema.devices), ...Object.keys(schema.aliases), ...deviceNames()];
        if (deviceNames().includes(device.driver) && !isSure(schema, context)) continue;
        const near = nearest(device.driver, names);
        if (near === undefined && !isSure(schema, context)) continue;
        const param = device.driverParam;
        yield {
          span: param?.valueSpan ?? device.span,
          params: { driver: device.driver, ...(near === undefined ? {} : { near }) },
          ...(near === undefined ? {} : { variant: 'suggest' }),
          fixes:
            near === undefined || param === undefined
              ? []
              : [fix('replace', { from: device.driver, to: near }, setValue(device.option, param, near))],
        };
      }
    },
  }),
  rule({
    id: 'O02',
    severity: 'error',
    qemu: ["Property '{driver}.{key}' not found"],
    *find({ model, line, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      for (const device of knownDevices(model.devices)) {
        const rows = deviceProperties(schema, canonicalDriver(device.driver));
        if (rows === undefined) continue;
        for (const param of device.option.params) {
          const key = param.key.split('.')[0];
          if (DEVICE_KEYS.has(key) || rows.has(key) || rows.has(param.key) || param.variable === true)
            continue;
          // A change by version has its own rule, and some properties came after the schema.
          if (param.key === 'scsi' || ADDED.has(key) || (param.form !== 'pair' && rows.has(param.key)))
            continue;

          yield* unknownProperty(device, param, [...rows.keys()], {
            line,
            model,
            isSure: isSure(schema, context),
          });
        }
      }
    },
  }),
  rule({
    id: 'O03',
    severity: 'error',
    qemu: [
      "Parameter '{key}' expects {type}",
      "Parameter '{key}' expects {type}",
      "Parameter '{key}' does not accept value '{value}'",
    ],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      for (const device of knownDevices(model.devices)) {
        const rows = deviceProperties(schema, canonicalDriver(device.driver));
        if (rows === undefined) continue;
        for (const param of device.option.params) {
          const row = rows.get(param.key);
          // Of a key given twice the last one counts.
          if (row === undefined || param !== deviceParam(device, param.key) || param.variable === true)
            continue;
          if (param.form === 'short-on' || param.form === 'short-off') continue;
          if (param.json !== undefined && param.json !== 'string') continue;
          if (param.json === 'string' && (row[1] === 'bool' || INTEGER.test(row[1]))) continue;
          const wrong = valueProblem(row, param.value);
          if (wrong === undefined) continue;
          const values = row[1] === 'bool' ? ['on', 'off'] : VALUES[row[1]];
          const near = values === undefined ? undefined : nearest(param.value, values);
          yield {
            span: param.valueSpan.end > param.valueSpan.start ? param.valueSpan : param.span,
            params: { key: row[0], value: param.value, type: wrong.type },
            says: wrong.says,
            fixes:
              near === undefined
                ? []
                : [fix('replace', { from: param.value, to: near }, setValue(device.option, param, near))],
          };
        }
      }
      for (const drive of model.drives) {
        for (const param of drive.option.params) {
          const type = own(DRIVE_TYPES, param.key);
          if (type === undefined || param.variable === true || param.form !== 'pair') continue;
          const bad =
            type === 'bool'
              ? !/^(?:on|off|yes|no|true|false|y|n)$/.test(param.value)
              : readNumber(param.value) === undefined;
          if (!bad) continue;
          const wanted = type === 'bool' ? "'on' or 'off'" : 'a number';
          yield {
            span: param.valueSpan.end > param.valueSpan.start ? param.valueSpan : param.span,
            params: { key: param.key, value: param.value, type: wanted },
          };
        }
      }
    },
  }),
  rule({
    id: 'O04',
    severity: 'error',
    qemu: ["Duplicate ID '{id}' for {kind}"],
    *find({ line }): Iterable<Finding> {
      const seen = new Map<string, Option>();
      for (const option of line.options) {
        if (!['device', 'object', 'chardev', 'netdev'].includes(option.name)) continue;
        const id = option.params.find((p) => p.key === 'id');
        if (id === undefined || id.variable === true) continue;
        const key = `${option.name} ${id.value}`;
        const first = seen.get(key);
        if (first === undefined) {
          seen.set(key, option);
          continue;
        }
        const fresh = freeName(id.value, (n) => seen.has(`${option.name} ${n}`));
        yield {
          span: id.valueSpan,
          params: { id: id.value, kind: option.name },
          related: [first.span],
          fixes: [fix('replace', { from: id.value, to: fresh }, setValue(option, id, fresh))],
        };
      }
    },
  }),
  rule({
    id: 'O05',
    severity: 'error',
    qemu: [
      "Parameter 'qom-type' does not accept value '{type}'",
      "Invalid parameter '{key}'",
      "Parameter '{key}' is missing",
    ],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      const types = tagValues(schema, 'ObjectOptions');
      const sure = isSure(schema, context);
      for (const object of model.objects) {
        if (object.option.word?.variables !== undefined || object.typeParam === undefined) continue;
        if (!types.includes(object.type)) {
          const near = nearest(object.type, types);
          if (near === undefined && !sure) continue;
          yield {
            span: object.typeParam.valueSpan,
            params: { type: object.type, key: 'qom-type', ...(near === undefined ? {} : { near }) },
            ...(near === undefined ? {} : { variant: 'suggest' }),
            fixes:
              near === undefined
                ? []
                : [
                    fix(
                      'replace',
                      { from: object.type, to: near },
                      setValue(object.option, object.typeParam, near),
                    ),
                  ],
          };
          continue;
        }
        for (const found of checkQapi(schema, 'ObjectOptions', object.tree)) {
          const near =
            found.kind === 'unknown' && found.known !== undefined
              ? nearest(found.path, found.known)
              : undefined;
          if (found.kind === 'unknown' && found.param !== undefined && (near !== undefined || sure)) {
            // The throttle group takes its limits under the names of its QOM properties as well.
            if (object.type === 'throttle-group' && found.path.startsWith('x-')) continue;
            yield {
              span: found.param.keySpan,
              params: { type: object.type, key: found.path, ...(near === undefined ? {} : { near }) },
              says: 1,
              variant: near === undefined ? 'key' : 'key-suggest',
              fixes:
                near === undefined
                  ? []
                  : [
                      fix(
                        'replace',
                        { from: found.path, to: near },
                        setKey(object.option, found.param, near),
                      ),
                    ],
            };
          } else if (found.kind === 'missing') {
            const name = freeName(`${object.type.split('-')[0]}0`, (n) => model.objectById.has(n));
            yield {
              span: object.typeParam.valueSpan,
              params: { type: object.type, key: found.path },
              says: 2,
              variant: 'missing',
              fixes:
                found.path === 'id'
                  ? [fix('add', { text: `id=${name}` }, addParam(object.option, 'id', name))]
                  : [],
            };
          }
        }
      }
    },
  }),
  rule({
    id: 'O06',
    severity: 'error',
    qemu: ['unsupported machine type'],
    *find({ model, context }): Iterable<Finding> {
      const { machine } = model;
      const schema = schemaFor(context);
      const param = machine.typeParam;
      if (param === undefined || param.variable === true || machine.arch !== schema.arch) return;
      const names = [
        ...Object.keys(schema.machines),
        ...Object.values(schema.machines).flatMap((m) => (m.alias === undefined ? [] : [m.alias])),
      ];
      if (names.includes(machine.type) || /^(?:pc-(?:i440fx|q35)-|xen|rhel)/.test(machine.type)) return;
      const near = nearest(
        machine.type,
        names.filter((n) => !/\d\.\d/.test(n)),
      );
      if (near === undefined && !isSure(schema, context)) return;
      yield {
        span: param.valueSpan,
        params: { type: machine.type, ...(near === undefined ? {} : { near }) },
        ...(near === undefined ? {} : { variant: 'suggest' }),
        fixes:
          near === undefined || machine.option === undefined
            ? []
            : [fix('replace', { from: machine.type, to: near }, setValue(machine.option, param, near))],
      };
    },
  }),
];

const DRIVE_TYPES: Partial<Record<string, 'bool' | 'number'>> = {
  index: 'number',
  bus: 'number',
  unit: 'number',
  snapshot: 'bool',
  readonly: 'bool',
  'read-only': 'bool',
  'copy-on-read': 'bool',
  'cache.direct': 'bool',
  'cache.no-flush': 'bool',
  'cache.writeback': 'bool',
  ...Object.fromEntries(
    ['bps', 'iops'].flatMap((kind) =>
      ['', '_rd', '_wr', '_max', '_rd_max', '_wr_max'].map((d) => [`${kind}${d}`, 'number' as const]),
    ),
  ),
  ...Object.fromEntries(
    ['bps', 'iops'].flatMap((kind) =>
      ['total', 'read', 'write'].flatMap((d) =>
        ['', '-max'].map((m) => [`throttling.${kind}-${d}${m}`, 'number' as const]),
      ),
    ),
  ),
};

/** Properties that came after the bundled schema. */
const ADDED = new Set(['iothread-vq-mapping', 'atomic.dn', 'migrate-pr', 'spdm_port']);

function* unknownProperty(
  device: Device,
  param: Param,
  names: string[],
  scope: {
    line: Parameters<typeof removeParam>[0];
    model: Parameters<typeof driveReferences>[0];
    isSure: boolean;
  },
): Iterable<Finding> {
  const driver = device.canonical;
  const drive = driveReferences(scope.model).find((r) => r.device === device)?.target;
  if (DRIVE_SIDE.has(param.key)) {
    const target =
      drive !== undefined && 'root' in drive && drive.option.name === 'drive' ? drive : undefined;
    const taken = target?.option.params.some((p) => p.key === param.key) ?? true;
    yield {
      span: param.span,
      params: { driver, key: param.key },
      variant: 'drive',
      fixes: [
        ...(target === undefined || taken
          ? []
          : [
              fix(
                'move',
                { what: `${param.key}=${param.value}`, where: `-drive ${target.id}` },
                removeParam(scope.line, device.option, param),
                addParam(target.option, param.key, param.value),
              ),
            ]),
        fix('delete', { what: `${param.key}=${param.value}` }, removeParam(scope.line, device.option, param)),
      ],
    };
    return;
  }
  if (param.key === 'iothread') {
    yield {
      span: param.span,
      params: { driver, key: param.key },
      variant: 'iothread',
      fixes: [
        fix('delete', { what: `iothread=${param.value}` }, removeParam(scope.line, device.option, param)),
      ],
    };
    return;
  }
  const swapped = param.key.includes('_') ? param.key.replaceAll('_', '-') : param.key.replaceAll('-', '_');
  const near = names.includes(swapped) ? swapped : nearest(param.key, names);
  if (near === undefined && !scope.isSure) return;
  yield {
    span: param.keySpan.end > param.keySpan.start ? param.keySpan : param.span,
    params: { driver, key: param.key, ...(near === undefined ? {} : { near }) },
    ...(near === undefined ? {} : { variant: 'suggest' }),
    fixes: [
      ...(near === undefined
        ? []
        : [fix('replace', { from: param.key, to: near }, setKey(device.option, param, near))]),
      fix('delete', { what: `${param.key}=${param.value}` }, removeParam(scope.line, device.option, param)),
    ],
  };
}
