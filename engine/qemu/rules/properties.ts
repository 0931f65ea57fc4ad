/** Properties that a device does not have, and values of the wrong kind. */
import { addParam, removeParam, setKey, setValue } from '../edit.ts';
import type { Param } from '../model.ts';
import { canonicalDriver } from '../model/device-kinds.ts';
import { deviceParam } from '../model/devices.ts';
import { own, readBool, readNumber, readSize } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import { schemaFor } from '../schema/bundled.ts';
import { deviceProperties, type PropertyRow } from '../schema/schema.ts';
import type { Device } from '../storage-model.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';
import { isSure, knownDevices } from './names.ts';

/** Members of `-device` that are no properties. */
const DEVICE_KEYS = new Set(['driver', 'id', 'bus', 'failover_pair_id']);

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

export const propertyRules = [
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
          if (rows.has(param.key)) continue;
          const [key] = param.key.split('.', 1);
          if (DEVICE_KEYS.has(key) || rows.has(key) || param.variable === true) continue;
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
];
