/** What `qemu-img create` prints: the options that there are, and the line about what is made. */
import type { CreateOptionSpec } from '#engine/block/formats/create-specs.ts';
import type { GivenOptions } from '../convert/create-options.ts';

/** `-o help`: by name, one a line (`util/qemu-option.c`, qemu_opts_print_help). */
export function optionsHelp(title: string, specs: readonly CreateOptionSpec[]): string {
  const lines = specs.map((spec) => {
    const choices = spec.choices === undefined ? '' : ` (${spec.choices.join(', ')})`;
    return `  ${`${spec.name}=${kindText(spec)}`.padEnd(22)} - ${spec.help}${choices}`;
  });
  return `${title}\n${lines.toSorted().join('\n')}\n`;
}

function kindText({ kind }: CreateOptionSpec): string {
  if (kind === 'flag') return '<bool (on/off)>';
  if (kind === 'number') return '<num>';
  return kind === 'size' ? '<size>' : '<str>';
}

/** `Formatting 'a.qcow2', fmt=qcow2 …`: what was given, and the values of the rest where QEMU says them. */
export function formattingLine(
  path: string,
  format: string,
  specs: readonly CreateOptionSpec[],
  given: GivenOptions,
  values: Readonly<Record<string, string | number | boolean>>,
): string {
  const words: string[] = [];
  for (const spec of specs) {
    const said = given.get(spec.name);
    const value = said === undefined ? spec.otherwise : numeric(spec) ? String(values[spec.name]) : said;
    if (value === undefined) continue;
    words.push(`${spec.name}=${value.replaceAll(',', ',,')}`);
  }
  return `Formatting '${path}', fmt=${format} ${words.join(' ')}\n`;
}

function numeric({ kind }: CreateOptionSpec): boolean {
  return kind === 'size' || kind === 'number';
}
