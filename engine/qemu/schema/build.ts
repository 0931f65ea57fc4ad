/** Makes a schema out of what QEMU answers over QMP. Pure: whoever talks to QEMU hands the answers in. */
import type { PropertyRow, QapiMember, QapiType, Schema } from './schema.ts';

interface RawProperty {
  name: string;
  type: string;
  description?: string;
  'default-value'?: unknown;
}
interface RawMember {
  name: string;
  type: string;
  default?: unknown;
  features?: string[];
}
interface RawType {
  name: string;
  'meta-type': string;
  members?: (RawMember | { type: string })[];
  values?: string[];
  tag?: string;
  variants?: { case: string; type: string }[];
  'element-type'?: string;
  'arg-type'?: string;
  'json-type'?: string;
}
interface RawMachine {
  name: string;
  alias?: string;
  deprecated?: boolean;
  'is-default'?: boolean;
  'cpu-max'?: number;
}

/** QEMU's answers, as they came. */
export interface QmpAnswers {
  /** `query-version` */
  version: { qemu: { major: number; minor: number } };
  /** `query-target` */
  target: { arch: string };
  /** `device-list-properties` by driver. */
  properties: Record<string, RawProperty[]>;
  /** Text of `-device help`. */
  deviceHelp: string;
  /** `query-qmp-schema` */
  schema: RawType[];
  /** `query-machines` */
  machines: RawMachine[];
  /** `qom-list-types` of what implements `device`, abstract ones included. */
  classes: { name: string; parent?: string }[];
  /** `query-command-line-options` */
  options: { option: string; parameters: { name: string }[] }[];
}

/** Options whose parameters are worth keeping. */
const KEPT_OPTIONS = new Set([
  'drive',
  'boot-opts',
  'chardev',
  'iscsi',
  'smp-opts',
  'memory',
  'machine',
  'throttle-groups',
]);

/** The compact schema. */
export function buildSchema(answers: QmpAnswers): Schema {
  const schema: Schema = {
    version: `${String(answers.version.qemu.major)}.${String(answers.version.qemu.minor)}`,
    arch: answers.target.arch,
    properties: [],
    devices: {},
    aliases: {},
    machines: {},
    types: {},
    classes: Object.fromEntries(answers.classes.map(({ name, parent }) => [name, parent ?? ''])),
    options: {},
  };
  addDevices(schema, answers);
  addTypes(schema, answers.schema);
  for (const machine of answers.machines) {
    const entry: Schema['machines'][string] = {};
    if (machine.alias !== undefined) entry.alias = machine.alias;
    if (machine.deprecated === true) entry.deprecated = true;
    if (machine['is-default'] === true) entry.default = true;
    if (machine['cpu-max'] !== undefined) entry.cpuMax = machine['cpu-max'];
    schema.machines[machine.name] = entry;
  }
  for (const { option, parameters } of answers.options) {
    if (KEPT_OPTIONS.has(option)) schema.options[option] = parameters.map((p) => p.name).sort();
  }
  return schema;
}

/** Lines of `-device help`: name, bus, alias and description of every device that a user can make. */
export function readDeviceHelp(
  text: string,
): { name: string; bus?: string; alias?: string; help?: string }[] {
  const out: { name: string; bus?: string; alias?: string; help?: string }[] = [];
  for (const line of text.split('\n')) {
    const name = /^name "([^"]+)"/.exec(line)?.[1];
    if (name === undefined) continue;
    out.push({
      name,
      bus: /, bus ([^,]+)/.exec(line)?.[1],
      alias: /, alias "([^"]+)"/.exec(line)?.[1],
      help: /, desc "([^"]*)"/.exec(line)?.[1],
    });
  }
  return out;
}

function addDevices(schema: Schema, answers: QmpAnswers): void {
  const rows = new Map<string, number>();
  for (const device of readDeviceHelp(answers.deviceHelp)) {
    const entry: Schema['devices'][string] = {};
    if (device.bus !== undefined) entry.bus = device.bus;
    if (device.help !== undefined) entry.help = device.help;
    const properties = Object.hasOwn(answers.properties, device.name)
      ? answers.properties[device.name]
      : undefined;
    if (properties !== undefined) {
      entry.props = properties
        .filter((p) => !p.type.startsWith('child<') && !p.name.endsWith('[*]'))
        .map((p) => rowIndex(schema, rows, p));
    }
    schema.devices[device.name] = entry;
    if (device.alias !== undefined) schema.aliases[device.alias] = device.name;
  }
}

function rowIndex(schema: Schema, rows: Map<string, number>, property: RawProperty): number {
  const row: PropertyRow = [property.name, property.type];
  const value = property['default-value'];
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') row[2] = value;
  if (property.description !== undefined) {
    row[2] ??= null;
    row[3] = property.description;
  }
  const key = JSON.stringify(row);
  let index = rows.get(key);
  if (index === undefined) {
    index = schema.properties.push(row) - 1;
    rows.set(key, index);
  }
  return index;
}

/** The types that `blockdev-add` and `object-add` reach. QMP hides their names, so the roots get names of ours. */
function addTypes(schema: Schema, raw: RawType[]): void {
  const byName = new Map(raw.map((t) => [t.name, t]));
  const names = new Map<string, string>();
  const rename = (type: string): string => names.get(type) ?? type;
  const queue: string[] = [];
  for (const [command, name] of [
    ['blockdev-add', 'BlockdevOptions'],
    ['object-add', 'ObjectOptions'],
  ]) {
    const root = byName.get(command)?.['arg-type'];
    if (root === undefined) continue;
    names.set(root, name);
    queue.push(root);
  }
  const seen = new Set<string>();
  for (let type = queue.pop(); type !== undefined; type = queue.pop()) {
    if (seen.has(type)) continue;
    seen.add(type);
    const found = byName.get(type);
    if (found === undefined) continue;
    const [made, reached] = convertType(found, rename);
    if (made === undefined) continue;
    schema.types[rename(type)] = made;
    queue.push(...reached);
  }
}

function convertType(raw: RawType, rename: (type: string) => string): [QapiType | undefined, string[]] {
  switch (raw['meta-type']) {
    case 'object': {
      const members: Record<string, QapiMember> = {};
      const reached: string[] = [];
      for (const member of (raw.members ?? []) as RawMember[]) {
        members[member.name] = {
          type: rename(member.type),
          ...('default' in member ? { optional: true as const } : {}),
          ...(member.features?.includes('deprecated') === true ? { deprecated: true as const } : {}),
          ...(member.features?.includes('unstable') === true ? { unstable: true as const } : {}),
        };
        reached.push(member.type);
      }
      const type: QapiType = { kind: 'object', members };
      if (raw.variants !== undefined) {
        type.tag = raw.tag;
        type.variants = Object.fromEntries(raw.variants.map((v) => [v.case, v.type]));
        reached.push(...raw.variants.map((v) => v.type));
      }
      return [type, reached];
    }
    case 'enum':
      return [{ kind: 'enum', values: raw.values ?? [] }, []];
    case 'alternate': {
      const of = (raw.members ?? []).map((m) => m.type);
      return [{ kind: 'alternate', of: of.map(rename) }, of];
    }
    case 'array': {
      const of = raw['element-type'] ?? 'any';
      return [{ kind: 'array', of: rename(of) }, [of]];
    }
    case 'builtin':
      return [{ kind: 'builtin', json: raw['json-type'] ?? 'value' }, []];
    default:
      return [undefined, []];
  }
}
