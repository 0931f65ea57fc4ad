/** What stands under the pointer: the option, property or value there, with type, default and QEMU's own help. */
import type { CommandLine, LintContext, Option, Param, Span } from './model.ts';
import { canonicalDriver } from './model/device-kinds.ts';
import { asWritten } from './model/values.ts';
import { keyTree } from './model/tree.ts';
import { schemaFor } from './schema/bundled.ts';
import { memberAt } from './schema/paths.ts';
import { deviceProperty, deviceSchema, enumValues } from './schema/schema.ts';

export interface Hover {
  span: Span;
  kind: 'option' | 'device' | 'property' | 'block-option' | 'object';
  /** What it is about: `-drive`, `virtio-blk-pci`, `virtio-blk-pci.queue-size`. */
  name: string;
  type?: string;
  defaultValue?: string;
  /** From QEMU itself, English. */
  help?: string;
  values?: string[];
}

/** Help for the place `offset` of the line, or undefined when there is none. */
export function hover(line: CommandLine, offset: number, context: LintContext): Hover | undefined {
  const option = line.options.find((o) => o.span.start <= offset && offset <= o.span.end);
  if (option === undefined) return undefined;
  if (offset <= option.nameSpan.end)
    return { span: option.nameSpan, kind: 'option', name: `-${option.name}` };
  const param = option.params.find((p) => p.span.start <= offset && offset <= p.span.end);
  if (param === undefined) return undefined;
  if (option.name === 'device') return deviceHover(option, param, context);
  const root = option.name === 'object' ? 'ObjectOptions' : 'BlockdevOptions';
  if (option.name === 'blockdev' || option.name === 'object' || option.name === 'drive') {
    return memberHover(option, param, root, context);
  }
  return undefined;
}

function deviceHover(option: Option, param: Param, context: LintContext): Hover | undefined {
  const schema = schemaFor(context);
  const driver = option.params.find((p) => p.key === 'driver')?.value ?? '';
  const canonical = canonicalDriver(driver);
  if (param.key === 'driver') {
    const device = deviceSchema(schema, canonical);
    if (device === undefined) return undefined;
    return {
      span: param.span,
      kind: 'device',
      name: canonical,
      ...(device.help === undefined ? {} : { help: device.help }),
      ...(device.bus === undefined ? {} : { type: device.bus }),
    };
  }
  const row = deviceProperty(schema, canonical, param.key);
  if (row === undefined) return undefined;
  const [name, type, defaultValue, help] = row;
  return {
    span: param.span,
    kind: 'property',
    name: `${canonical}.${name}`,
    type,
    ...(defaultValue === undefined || defaultValue === null ? {} : { defaultValue: asWritten(defaultValue) }),
    ...(help === undefined ? {} : { help }),
  };
}

function memberHover(option: Option, param: Param, root: string, context: LintContext): Hover | undefined {
  const schema = schemaFor(context);
  const found = memberAt(schema, root, keyTree(option.params), param.key.split('.'));
  if (found === undefined) return undefined;
  const values = enumValues(schema, found.type);
  const type = schema.types[found.type];
  return {
    span: param.span,
    kind: root === 'ObjectOptions' ? 'object' : 'block-option',
    name: param.key,
    type: type?.kind === 'builtin' ? type.json : (type?.kind ?? found.type),
    ...(values === undefined ? {} : { values }),
  };
}
