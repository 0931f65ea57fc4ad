/** The form of an option, made from QEMU's schema: which properties there are, and what may stand in each. */
import { DRIVE_VALUES } from '#engine/qemu/complete.ts';
import { addressMap } from '#engine/qemu/maps.ts';
import type { Option, Param } from '#engine/qemu/model.ts';
import { canonicalDriver } from '#engine/qemu/model/device-kinds.ts';
import { DRIVE_KEYS } from '#engine/qemu/model/drives.ts';
import { placeDevices } from '#engine/qemu/model/placement.ts';
import { keyTree } from '#engine/qemu/model/tree.ts';
import { memberAt, membersAt } from '#engine/qemu/schema/paths.ts';
import {
  deviceProperties,
  enumValues,
  tagValues,
  type QapiMember,
  type Schema,
} from '#engine/qemu/schema/schema.ts';
import type { StorageModel } from '#engine/qemu/storage-model.ts';

export interface Field {
  key: string;
  /** Where it stands in the line; undefined when it is not set. */
  param: Param | undefined;
  control: 'switch' | 'choice' | 'number' | 'text';
  /** What may be chosen, for a choice. */
  values: string[];
  /** What QEMU takes when it is not set, as far as the schema knows. */
  defaultValue: string | undefined;
  /** QEMU's own words, English. */
  help: string | undefined;
  required: boolean;
}

type Shape = Pick<Field, 'control' | 'values'> & Partial<Pick<Field, 'defaultValue' | 'help' | 'required'>>;

const TEXT: Shape = { control: 'text', values: [] };
const NUMBER: Shape = { control: 'number', values: [] };
const SWITCH: Shape = { control: 'switch', values: ['on', 'off'] };
const choice = (values: readonly string[]): Shape => ({ control: 'choice', values: [...values] });

/** QOM's types of properties. */
const ENUMS: Partial<Record<string, readonly string[]>> = {
  OnOffAuto: ['on', 'off', 'auto'],
  BlockdevOnError: ['report', 'ignore', 'enospc', 'stop', 'auto'],
  BiosAtaTranslation: ['none', 'lba', 'large', 'rechs', 'auto'],
  FdcDriveType: ['144', '288', '120', 'none', 'auto'],
};
/** A default that stands for “none was given” is shown as no default. */
const UNSET_NUMBERS = new Set([-1, 65_535, 4_294_967_295]);

/** Every field of the option: those that are set in the order of the text, then the others by name. */
export function fieldsOf(option: Option, model: StorageModel, schema: Schema): Field[] {
  const shapes = shapesOf(option, model, schema);
  const set = option.params.map((param) =>
    field(param.key, param, shapes.get(param.key) ?? nested(option, param.key, schema)),
  );
  const taken = new Set(option.params.map((param) => param.key));
  const unset = [...shapes]
    .filter(([key]) => !taken.has(key) && !key.startsWith('x-'))
    .sort(([a, left], [b, right]) =>
      left.required === right.required ? a.localeCompare(b, 'en') : left.required === true ? -1 : 1,
    )
    .map(([key, shape]) => field(key, undefined, shape));
  return [...set, ...unset];
}

function field(key: string, param: Param | undefined, shape: Shape): Field {
  const made: Field = { defaultValue: undefined, help: undefined, required: false, ...shape, key, param };
  // A name that only the shell knows is text, whatever the type.
  if (param?.variable === true) return { ...made, control: 'text', values: [] };
  if (param !== undefined && made.control === 'switch' && !made.values.includes(param.value))
    return { ...made, control: 'choice', values: [...made.values, param.value] };
  if (param !== undefined && made.control === 'choice' && !made.values.includes(param.value))
    return { ...made, values: [param.value, ...made.values] };
  return made;
}

function shapesOf(option: Option, model: StorageModel, schema: Schema): Map<string, Shape> {
  switch (option.name) {
    case 'device':
      return deviceShapes(option, model, schema);
    case 'drive': {
      const shapes = memberShapes(option, 'BlockdevOptions', model, schema);
      for (const key of DRIVE_KEYS) shapes.set(key, driveShape(key, schema));
      return shapes;
    }
    case 'blockdev':
      return memberShapes(option, 'BlockdevOptions', model, schema);
    case 'object':
      return memberShapes(option, 'ObjectOptions', model, schema);
    default:
      return new Map();
  }
}

function driveShape(key: string, schema: Schema): Shape {
  if (key === 'format' || key === 'driver') return choice(tagValues(schema, 'BlockdevOptions'));
  const values = Object.hasOwn(DRIVE_VALUES, key) ? DRIVE_VALUES[key] : undefined;
  if (values?.join() === 'on,off') return SWITCH;
  if (values !== undefined) return choice(values);
  return ['bus', 'unit', 'index'].includes(key) ? NUMBER : TEXT;
}

function deviceShapes(option: Option, model: StorageModel, schema: Schema): Map<string, Shape> {
  const driver = canonicalDriver(option.params.find((param) => param.key === 'driver')?.value ?? '');
  const shapes = new Map<string, Shape>([
    ['driver', TEXT],
    ['id', TEXT],
    ['bus', TEXT],
  ]);
  for (const [key, type, value, help] of deviceProperties(schema, driver)?.values() ?? [])
    shapes.set(key, {
      ...propertyShape(type),
      ...defaultOf(type, value),
      ...(help === undefined ? {} : { help }),
    });
  for (const [key, values] of references(option, model)) {
    const known = shapes.get(key);
    if (known !== undefined && values.length > 0) shapes.set(key, { ...known, ...choice(values) });
  }
  return shapes;
}

function propertyShape(type: string): Shape {
  const values = ENUMS[type];
  if (values !== undefined) return choice(values);
  if (type === 'bool') return SWITCH;
  return /^u?int\d*$|^size$/.test(type) ? NUMBER : TEXT;
}

function defaultOf(
  type: string,
  value: string | number | boolean | null | undefined,
): { defaultValue?: string } {
  if (value === undefined || value === null) return {};
  if (typeof value === 'boolean') return { defaultValue: value ? 'on' : 'off' };
  if (typeof value === 'number' && /int|size/.test(type) && UNSET_NUMBERS.has(value)) return {};
  return { defaultValue: String(value) };
}

/** Properties that name something else of the line, with the names that there are. */
function references(option: Option, model: StorageModel): [key: string, values: string[]][] {
  const { devices, buses } = placeDevices(model);
  const placed = devices.find((one) => one.device.option === option);
  const type = placed?.device.kind?.bus;
  const drives = [
    ...model.drives.filter((drive) => drive.if === 'none').map((drive) => drive.id),
    ...model.blockdevs.flatMap((node) => node.nodeName ?? []),
  ];
  const threads = model.objects.flatMap((object) =>
    object.type === 'iothread' && object.id !== undefined ? object.id : [],
  );
  const free =
    type === 'PCI' ? (addressMap(model.line).find((map) => map.bus === placed?.bus?.name)?.free ?? []) : [];
  return [
    ['drive', drives],
    ['iothread', threads],
    ['bus', type === undefined ? [] : buses.filter((bus) => bus.type === type).map((bus) => bus.name)],
    ['addr', free],
  ];
}

function memberShapes(option: Option, root: string, model: StorageModel, schema: Schema): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  const tree = keyTree(option.params);
  for (const [key, member] of membersAt(schema, root, tree, []) ?? [])
    shapes.set(key, { ...memberShape(member, schema), required: member.optional !== true });
  const groups = model.objects.flatMap((object) =>
    object.type === 'throttle-group' && object.id !== undefined ? object.id : [],
  );
  if (shapes.has('throttle-group') && groups.length > 0) shapes.set('throttle-group', choice(groups));
  return shapes;
}

/** A dotted key, whose type stands deeper in the schema. */
function nested(option: Option, key: string, schema: Schema): Shape {
  if (!['drive', 'blockdev', 'object'].includes(option.name)) return TEXT;
  const root = option.name === 'object' ? 'ObjectOptions' : 'BlockdevOptions';
  const member = memberAt(schema, root, keyTree(option.params), key.split('.'));
  return member === undefined ? TEXT : memberShape(member, schema);
}

function memberShape(member: QapiMember, schema: Schema): Shape {
  const values = enumValues(schema, member.type);
  if (values !== undefined) return choice(values);
  const type = schema.types[member.type];
  if (type?.kind !== 'builtin') return TEXT;
  if (type.json === 'boolean') return SWITCH;
  return type.json === 'int' || type.json === 'number' ? NUMBER : TEXT;
}
