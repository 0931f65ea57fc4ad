/** `-set group.id.argument=value` changes another option after the fact: it is put into that option, and judged there. */
import type { CommandLine, Option } from '../model.ts';
import type { Words } from './words.ts';

/** Options whose lists QEMU keeps by `id=` in a group of the option's name (`qemu_set_option`). */
const GROUPS = new Set([
  'drive',
  'device',
  'chardev',
  'netdev',
  'net',
  'nic',
  'mon',
  'fsdev',
  'virtfs',
  'tpmdev',
  'machine',
]);

/** Puts them in; answers those that are done with. */
export function foldSets(line: CommandLine, lists: ReadonlyMap<Option, Words>): Set<Option> {
  const folded = new Set<Option>();
  for (const set of line.options) {
    if (set.name !== 'set') continue;
    const match = /^([^.]+)\.([^.]+)\.([^=]+)=([\s\S]*)$/.exec(set.argument ?? '');
    if (match === null || !GROUPS.has(match[1])) continue;
    const [, group, id, key, value] = match;
    // QEMU reads in order: an option behind it is not there yet.
    for (const option of line.options.slice(0, line.options.indexOf(set))) {
      const words = lists.get(option);
      if (option.name !== group || option.json === true || words?.get('id')?.value !== id) continue;
      // Of an old name given twice the first counts: renaming turns their order round (`qemu_opt_rename`).
      if (key !== 'readonly' || words.get(key) === undefined) words.set(key, value);
      folded.add(set);
    }
  }
  return folded;
}
