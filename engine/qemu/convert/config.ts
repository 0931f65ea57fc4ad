/** `-readconfig` files, written and read. Source: util/qemu-config.c (`qemu_config_foreach`), softmmu/vl.c. */
import { applyEdits, removeOption, removeSets, setParams, shellQuote } from '../edit.ts';
import type { CommandLine, Option } from '../model.ts';
import { readGlobal } from '../parse/elsewhere.ts';
import type { Conversion, ConversionNote } from './notes.ts';
import { writeOption, type Pair } from './write.ts';

/** Option → group of the file. `-blockdev` is not among them: QEMU takes it on the command line only. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['drive', 'drive'],
  ['device', 'device'],
  ['object', 'object'],
  ['chardev', 'chardev'],
  ['iscsi', 'iscsi'],
  ['machine', 'machine'],
  ['M', 'machine'],
  ['m', 'memory'],
  ['smp', 'smp-opts'],
  ['boot', 'boot-opts'],
  ['rtc', 'rtc'],
  ['global', 'global'],
]);
const OPTIONS = new Map(
  [...GROUPS].filter(([option]) => option !== 'M').map(([option, group]) => [group, option]),
);
const IMPLIED: ReadonlyMap<string, string> = new Map([
  ['device', 'driver'],
  ['object', 'qom-type'],
]);

export interface ConfigFile extends Conversion {
  /** What the file cannot hold: the line without the options that are in it, and with `-readconfig`. */
  line: string;
}

/** The options that a configuration file can hold, as one (`text`), and the rest of the line. `name` is the file's name. */
export function toConfig(line: CommandLine, name = 'machine.conf'): ConfigFile {
  const notes: ConversionNote[] = [];
  const sections: string[] = [];
  const moved: Option[] = [];
  for (const option of line.options) {
    const reason = hindrance(option);
    if (reason !== undefined) {
      notes.push({ key: `convert.kept.${reason}`, params: { drive: `-${option.name}` }, span: option.span });
      continue;
    }
    sections.push(section(option));
    moved.push(option);
  }
  if (moved.length === 0) return { text: '', notes, line: line.text };
  const rest = applyEdits(line.text, [
    ...moved.map((option) => removeOption(line, option)),
    ...removeSets(line, moved),
  ]);
  return {
    text: sections.join('\n'),
    notes,
    line: `${rest.trimEnd()} -readconfig ${shellQuote(name)}`.trim(),
  };
}

function hindrance(option: Option): string | undefined {
  if (!GROUPS.has(option.name) || option.json === true) return 'no-group';
  if (option.word?.variables !== undefined) return 'variable';
  // Values stand between quotes and nothing can be escaped there.
  return option.params.length === 0 || option.params.some((p) => /["\n]/.test(p.value))
    ? 'no-group'
    : undefined;
}

function section(option: Option): string {
  const id = option.params.find((p) => p.key === 'id')?.value;
  const group = GROUPS.get(option.name) ?? option.name;
  const head = id === undefined || option.name === 'global' ? `[${group}]` : `[${group} "${id}"]`;
  const rows = pairsOf(option).map(([key, value]) => `  ${key} = "${value}"`);
  return [head, ...rows, ''].join('\n');
}

function pairsOf(option: Option): Pair[] {
  const global = option.name === 'global' ? readGlobal(option) : undefined;
  if (global !== undefined)
    return [
      ['driver', global.driver],
      ['property', global.property],
      ['value', global.param.value],
    ];
  return setParams(option)
    .filter((p) => p.key !== 'id')
    .map((p): Pair => [p.key, p.value]);
}

/** Longest file that is read. Characters. */
const MAX_CONFIG = 1024 * 1024;

/** A configuration file as options; lines that are none are noted with their place. */
export function fromConfig(text: string): Conversion {
  const notes: ConversionNote[] = [];
  const sections: { group: string; pairs: Pair[] }[] = [];
  let offset = 0;
  for (const row of text.slice(0, MAX_CONFIG).split('\n')) {
    const span = { start: offset, end: offset + row.length };
    offset += row.length + 1;
    const bare = row.trim();
    if (bare === '' || bare.startsWith('#')) continue;
    const head = /^\[([\w-]+)(?: "([^"]*)")?\]$/.exec(bare);
    const pair = /^([\w.-]+) *= *"([^"]*)"$/.exec(bare);
    if (head !== null && OPTIONS.has(head[1])) {
      const id = head[2];
      sections.push({ group: head[1], pairs: id === undefined ? [] : [['id', id]] });
    } else if (head !== null) {
      notes.push({ key: 'convert.read.no-option', params: { text: head[1] }, span });
      sections.push({ group: '', pairs: [] });
    } else if (pair !== null && sections.length > 0) sections.at(-1)?.pairs.push([pair[1], pair[2]]);
    else notes.push({ key: 'convert.read.no-section', params: { text: bare.slice(0, 60) }, span });
  }
  const options = sections.filter((s) => s.group !== '').map((s) => optionOf(s.group, s.pairs));
  return { text: options.join(' \\\n  '), notes };
}

function optionOf(group: string, pairs: Pair[]): string {
  const get = (key: string): string => pairs.find(([name]) => name === key)?.[1] ?? '';
  if (group === 'global')
    return `-global ${shellQuote(`${get('driver')}.${get('property')}=${get('value')}`)}`;
  const option = OPTIONS.get(group) ?? group;
  const implied = IMPLIED.get(option);
  // The implied word comes first.
  const first = pairs.filter(([key]) => key === implied);
  return writeOption(option, [...first, ...pairs.filter(([key]) => key !== implied)], implied);
}
