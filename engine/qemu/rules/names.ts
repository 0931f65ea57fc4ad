/** Names that QEMU does not know: devices, objects, machines; ids given twice. */
import { addParam, setKey, setValue } from '../edit.ts';
import type { Option } from '../model.ts';
import { deviceNames } from '../model/device-kinds.ts';
import { compareVersions } from '../model/version.ts';
import { nearest } from '../parse/nearest.ts';
import { bundledSchema, schemaFor } from '../schema/bundled.ts';
import { checkQapi } from '../schema/check.ts';
import { deviceSchema, tagValues, type Schema } from '../schema/schema.ts';
import type { LintContext } from '../model.ts';
import type { Device } from '../storage-model.ts';
import { CHANGES } from './changes.ts';
import { freeName } from './drive.ts';
import { fix, rule, type Finding } from './rule.ts';

/** Whether the schema speaks for this very version, so that what it does not have does not exist. */
export function isSure(schema: Schema, context: LintContext): boolean {
  return schema !== bundledSchema || compareVersions(context.version, schema.version) === 0;
}

export function* knownDevices(devices: Device[]): Iterable<Device> {
  for (const device of devices)
    if (device.driver !== '' && device.driverParam?.variable !== true) yield device;
}

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
