/** `-o key=value,…` of qemu-img. */
import type { CreateOptionSpec } from '#engine/block/formats/create-specs.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import type { Secrets } from './secrets.ts';

/** The pairs as they were written, the last one of a name counting. A name alone is a switch that is on. */
export type GivenOptions = Map<string, string>;

/** Hints to btrfs and XFS, which no other file system takes and qemu-img then drops: accepted for scripts, passed on to none. */
const FILE_SYSTEM_HINTS = ['nocow', 'extent_size_hint'];

/** Whether help is asked for: `-o help` or `-o ?`. */
export function asksForHelp(lists: readonly string[]): boolean {
  return lists.some((list) => splitList(list).some((word) => word === 'help' || word === '?'));
}

/** Throws UsageError for a name that `specs` does not have. */
export function splitOptions(lists: readonly string[], specs: readonly CreateOptionSpec[]): GivenOptions {
  const given: GivenOptions = new Map();
  for (const pair of lists.flatMap(splitList)) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (FILE_SYSTEM_HINTS.includes(name)) continue;
    const spec = specs.find((known) => known.name === name);
    if (spec === undefined) {
      throw new UsageError(
        `option '-o' has no '${name}'; there are ${specs.map((known) => known.name).join(', ')}`,
      );
    }
    if (equals < 0 && spec.kind !== 'flag')
      throw new UsageError(`option '-o ${name}' needs a value: ${name}=…`);
    given.set(name, equals < 0 ? 'on' : pair.slice(equals + 1));
  }
  return given;
}

/** What the engine takes: sizes in bytes, the passphrases that secrets' ids stand for. Throws UsageError. */
export function optionValues(
  given: GivenOptions,
  specs: readonly CreateOptionSpec[],
  secrets: Secrets,
): Record<string, string | number | boolean> {
  const options: Record<string, string | number | boolean> = {};
  for (const [name, value] of given) options[name] = typed(specs, name, value, secrets);
  return options;
}

function typed(
  specs: readonly CreateOptionSpec[],
  name: string,
  value: string,
  secrets: Secrets,
): string | number | boolean {
  const spec = specs.find((known) => known.name === name);
  const option = `-o ${name}`;
  switch (spec?.kind) {
    case 'flag':
      if (['on', 'yes', 'true', 'y'].includes(value)) return true;
      if (['off', 'no', 'false', 'n'].includes(value)) return false;
      throw new UsageError(`option '${option}' cannot be '${value}': it is on or off`);
    case 'size':
      return parseSize(value, option);
    case 'number':
      if (!/^\d+$/.test(value))
        throw new UsageError(`option '${option}' cannot be '${value}': expected a number`);
      return Number(value);
    case 'secret':
      return value === '' ? '' : secrets.passphrase(value);
    default:
      return value;
  }
}

/** At commas; two commas are one character. A list that begins or ends with one is half of something (`is_valid_option_list`). */
function splitList(list: string): string[] {
  const escaped = list.replaceAll(',,', '\0');
  if (escaped.startsWith(',') || escaped.endsWith(','))
    throw new UsageError(`option '-o' cannot be '${list}': it begins or ends with a comma`);
  return escaped
    .split(',')
    .map((pair) => pair.replaceAll('\0', ','))
    .filter((pair) => pair !== '');
}
