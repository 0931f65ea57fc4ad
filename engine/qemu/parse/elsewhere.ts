/**
 * What one option says about another: `-set group.id.key=value` and `-global class.property=value`. Their values become
 * parameters of the options that they are about, and remember where they stand. Source: softmmu/vl.c (`qemu_set_option`),
 * util/qemu-option.c, qom/object.c (`object_apply_global_props`).
 */
import type { CommandLine, Option, Param } from '../model.ts';
import { canonicalDriver } from '../model/device-kinds.ts';
import { bundledSchema } from '../schema/bundled.ts';
import { classesOf } from '../schema/schema.ts';
import { spanIn } from './shell.ts';

/** `-set` in its parts; undefined when QEMU cannot read it. */
export interface SetOption {
  group: string;
  id: string;
  key: string;
  /** The value's parameter, as if it stood in the option that it is about. */
  param: Param;
}

/** Reads a `-set`. */
export function readSet(option: Option): SetOption | undefined {
  const { word } = option;
  const match = word === undefined ? null : /^([^.]{1,63})\.([^.]{1,63})\.([^=]{1,63})=/.exec(word.value);
  if (word === undefined || match === null) return undefined;
  const [head, group, id, key] = match;
  const from = group.length + id.length + 2;
  return { group, id, key, param: elsewhere(option, key, from, head.length) };
}

/** `-global` in its parts, in either spelling; undefined when QEMU cannot read it. */
export interface GlobalOption {
  driver: string;
  property: string;
  param: Param;
}

/** Reads a `-global`. */
export function readGlobal(option: Option): GlobalOption | undefined {
  const { word, params } = option;
  if (word === undefined) return undefined;
  const match = /^([^.=]{1,63})\.([^=]{1,63})=/.exec(word.value);
  if (match !== null) {
    const [head, driver, property] = match;
    return { driver, property, param: elsewhere(option, property, driver.length + 1, head.length) };
  }
  const get = (key: string): Param | undefined => params.find((p) => p.key === key);
  const [driver, property, value] = [get('driver'), get('property'), get('value')];
  if (driver === undefined || property === undefined || value === undefined) return undefined;
  return {
    driver: driver.value,
    property: property.value,
    param: { ...value, key: property.value, keySpan: property.valueSpan, from: option },
  };
}

function elsewhere(option: Option, key: string, keyAt: number, valueAt: number): Param {
  const word = option.word;
  if (word === undefined) throw new TypeError('an option without its word');
  const end = word.value.length;
  return {
    key,
    value: word.value.slice(valueAt),
    form: 'pair',
    span: spanIn(word, 0, end),
    keySpan: spanIn(word, keyAt, keyAt + key.length),
    valueSpan: spanIn(word, valueAt, end),
    ...(word.variables === undefined ? {} : { variable: true as const }),
    from: option,
  };
}

/** Options that a `-set` reaches by their id, when they are not JSON. */
const GROUPS = new Set([
  'drive',
  'device',
  'chardev',
  'netdev',
  'fsdev',
  'mon',
  'vnc',
  'spice',
  'acpi',
  'smbios',
]);

/** Adds what other options say to the parameters of each. */
export function applyElsewhere(line: CommandLine): void {
  line.options.forEach((option, index) => {
    if (option.name !== 'set') return;
    const set = readSet(option);
    if (set === undefined || !GROUPS.has(set.group)) return;
    setTarget(line, set, index)?.params.push(set.param);
  });
  const globals = line.options.flatMap((o) => (o.name === 'global' ? (readGlobal(o) ?? []) : []));
  if (globals.length === 0) return;
  for (const option of line.options) {
    if (option.name !== 'device') continue;
    const driver = option.params.findLast((p) => p.key === 'driver');
    if (driver === undefined || driver.variable === true) continue;
    const classes = new Set(classNames(driver.value));
    // What the device says itself counts, then the last `-global`.
    for (const { driver: name, property, param } of globals.toReversed()) {
      if (!classes.has(name) || option.params.some((p) => p.key === property)) continue;
      option.params.unshift(param);
    }
  }
}

/** The option that the `-set` at `index` is about: one in front of it, for QEMU reads in order. */
export function setTarget(line: CommandLine, set: SetOption, index: number): Option | undefined {
  return line.options
    .slice(0, index)
    .findLast(
      (o) =>
        o.name === set.group &&
        o.json !== true &&
        o.params.some((p) => p.key === 'id' && p.value === set.id && p.from === undefined),
    );
}

/** The classes of a device and of the one inside it, which a `-global` may name. */
export function classNames(driver: string): string[] {
  const name = canonicalDriver(driver);
  const inner = /^(.*?)-(?:pci|ccw)(?:-(?:non-)?transitional)?$/.exec(name)?.[1];
  const names = [...classesOf(bundledSchema, name)];
  if (inner !== undefined && /^v(?:irtio|host)-/.test(inner)) {
    names.push(...classesOf(bundledSchema, `${inner}-device`), ...classesOf(bundledSchema, inner));
  }
  return names;
}
