/**
 * What one QEMU version knows of storage: devices with their properties, block drivers, objects, machine types. Generated
 * from a real QEMU by QMP (`scripts/schema/generate.ts`) and kept as a resource, or read from the user's own QEMU.
 */

/** `[name, type, default, help]`; the last two may be missing. Types are QOM's: `str`, `bool`, `uint32`, `OnOffAuto`, … */
export type PropertyRow = [
  name: string,
  type: string,
  defaultValue?: string | number | boolean | null,
  help?: string,
];

export interface DeviceSchema {
  /** Bus that it plugs into, as `-device help` says. */
  bus?: string;
  help?: string;
  /** Indices into `properties`. Absent when only the name was kept. */
  props?: number[];
}

/** A type of the QAPI schema, only as far as block devices and objects need it. */
export type QapiType =
  | { kind: 'object'; members: Record<string, QapiMember>; tag?: string; variants?: Record<string, string> }
  | { kind: 'enum'; values: string[] }
  | { kind: 'alternate'; of: string[] }
  | { kind: 'array'; of: string }
  | { kind: 'builtin'; json: string };

export interface QapiMember {
  type: string;
  optional?: true;
  deprecated?: true;
  unstable?: true;
}

export interface Schema {
  /** `major.minor` */
  version: string;
  /** `qemu-system-…` without the prefix. */
  arch: string;
  properties: PropertyRow[];
  devices: Record<string, DeviceSchema>;
  /** Other names of devices. */
  aliases: Record<string, string>;
  machines: Record<string, { alias?: string; deprecated?: true; default?: true; cpuMax?: number }>;
  /** QAPI types by name; `BlockdevOptions` and `ObjectOptions` are the roots. */
  types: Record<string, QapiType>;
  /** Every class of devices with its parent, those that no user can make included: `-global` takes them too. */
  classes?: Record<string, string>;
  /** Parameters of options from `query-command-line-options`, e.g. `drive`. */
  options: Record<string, string[]>;
}

const propertyMaps = new WeakMap<Schema, Map<string, ReadonlyMap<string, PropertyRow> | undefined>>();

/** The properties of a device by name, or undefined when the schema does not know them. */
export function deviceProperties(
  schema: Schema,
  driver: string,
): ReadonlyMap<string, PropertyRow> | undefined {
  let maps = propertyMaps.get(schema);
  if (maps === undefined) propertyMaps.set(schema, (maps = new Map()));
  if (!maps.has(driver)) {
    const rows = deviceSchema(schema, driver)?.props?.map((index) => schema.properties[index]);
    maps.set(driver, rows === undefined ? undefined : new Map(rows.map((row) => [row[0], row])));
  }
  return maps.get(driver);
}

/** A device by its name or its alias. */
export function deviceSchema(schema: Schema, driver: string): DeviceSchema | undefined {
  const name = Object.hasOwn(schema.aliases, driver) ? schema.aliases[driver] : driver;
  return Object.hasOwn(schema.devices, name) ? schema.devices[name] : undefined;
}

/** One property of a device. */
export function deviceProperty(schema: Schema, driver: string, name: string): PropertyRow | undefined {
  return deviceProperties(schema, driver)?.get(name);
}

const memberMaps = new WeakMap<Schema, Map<string, ReadonlyMap<string, QapiMember> | undefined>>();

/** The members of a QAPI object with those of the variant that `tagValue` selects. */
export function qapiMembers(
  schema: Schema,
  type: string,
  tagValue: string | undefined,
): ReadonlyMap<string, QapiMember> | undefined {
  const object = schema.types[type];
  if (object?.kind !== 'object') return undefined;
  const variant =
    object.variants !== undefined && tagValue !== undefined && Object.hasOwn(object.variants, tagValue)
      ? object.variants[tagValue]
      : undefined;
  let maps = memberMaps.get(schema);
  if (maps === undefined) memberMaps.set(schema, (maps = new Map()));
  const key = `${type} ${variant ?? ''}`;
  let members = maps.get(key);
  if (members === undefined) {
    const inner = variant === undefined ? undefined : schema.types[variant];
    members = new Map([
      ...Object.entries(object.members),
      ...(inner?.kind === 'object' ? Object.entries(inner.members) : []),
    ]);
    maps.set(key, members);
  }
  return members;
}

/** The values that an object's tag takes: block drivers of `BlockdevOptions`, types of `ObjectOptions`. */
export function tagValues(schema: Schema, type: string): string[] {
  const object = schema.types[type];
  if (object?.kind !== 'object' || object.tag === undefined) return [];
  return enumValues(schema, object.members[object.tag]?.type) ?? [];
}

/** The values of an enumeration. */
export function enumValues(schema: Schema, type: string | undefined): string[] | undefined {
  const found = type === undefined ? undefined : schema.types[type];
  return found?.kind === 'enum' ? found.values : undefined;
}

/** The class and all above it, itself first; only itself when the schema has no classes. */
export function* classesOf(schema: Schema, name: string): Iterable<string> {
  const seen = new Set<string>();
  for (let at: string | undefined = name; at !== undefined && !seen.has(at);) {
    seen.add(at);
    yield at;
    const classes: Record<string, string> = schema.classes ?? {};
    at = Object.hasOwn(classes, at) ? classes[at] : undefined;
  }
}
