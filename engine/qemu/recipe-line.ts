/** A recipe made one's own: its files and numbers set, and put into a line that has devices already. */
import { applyEdits, setValue } from './edit.ts';
import type { CommandLine, Option, Param, TextEdit } from './model.ts';
import { parseCommandLine } from './parse.ts';
import type { Recipe } from './recipes.ts';

/** A value of the recipe's line that is everybody's own. */
export interface RecipeParameter {
  /** Stands for it in `fillRecipe`. */
  id: string;
  /** The option's key: `file.filename`, `num-queues`. */
  key: string;
  value: string;
  /** The name of the piece that it belongs to, when it has one. */
  of: string;
}

/** Keys whose values are a matter of the machine at hand and not of the recipe. */
const OWN_KEYS = new Set([
  'file.filename',
  'filename',
  'file',
  'server.host',
  'server.port',
  'num-queues',
  'x-iops-total',
  'x-iops-total-max',
  'x-bps-total',
  'vote-threshold',
  'serial',
]);

interface Place {
  parameter: RecipeParameter;
  option: Option;
  param: Param;
}

function places(line: CommandLine): Place[] {
  const nodes = new Set(line.options.flatMap((o) => nameOf(o) ?? []));
  return line.options.flatMap((option) =>
    option.params
      // `file=node` names another node and no file.
      .filter((p) => OWN_KEYS.has(p.key) && !(p.key === 'file' && nodes.has(p.value)))
      .map((param) => ({
        parameter: {
          id: `${String(line.options.indexOf(option))}:${param.key}`,
          key: param.key,
          value: param.value,
          of: nameOf(option) ?? '',
        },
        option,
        param,
      })),
  );
}

function nameOf(option: Option): string | undefined {
  return option.params.find((p) => p.key === 'id' || p.key === 'node-name')?.value;
}

/** What of the recipe's line may be set, in its order. */
export function recipeParameters(recipe: Recipe): RecipeParameter[] {
  return places(parseCommandLine(recipe.line)).map((p) => p.parameter);
}

/** The recipe's line with values by parameter id; what is missing or empty stays as the recipe has it. */
export function fillRecipe(recipe: Recipe, values: Readonly<Record<string, string>>): string {
  const edits: TextEdit[] = [];
  for (const { parameter, option, param } of places(parseCommandLine(recipe.line))) {
    const value = Object.hasOwn(values, parameter.id) ? values[parameter.id].trim() : '';
    if (value !== '' && value !== parameter.value) edits.push(setValue(option, param, value));
  }
  return applyEdits(recipe.line, edits);
}

/** Keys whose value names an object, a node or a bus of the line. */
const NAMES = /^(?:id|node-name|drive|bus|iothread|throttle-group|backing|file|children\.\d+|key-secret)$/;

/**
 * `line` with the options of another line behind its own. Names that are taken get a number, boot order continues after the
 * present one, and the other's program and machine are left out.
 */
export function insertLine(line: CommandLine, text: string): string {
  if (line.options.length === 0 && line.images.length === 0) return text;
  const other = parseCommandLine(text);
  const options = other.options.filter((o) => o.name !== 'machine' && o.name !== 'M');
  const renamed = newNames(line, options);
  const boots = line.options.flatMap((o) =>
    o.params.filter((p) => p.key === 'bootindex').map((p) => Number(p.value) || 0),
  );
  const lastBoot = Math.max(0, ...boots);
  const edits: TextEdit[] = [];
  for (const option of options) {
    for (const param of option.params) {
      if (param.key === 'bootindex' && lastBoot > 0)
        edits.push(setValue(option, param, String(Number(param.value) + lastBoot)));
      else if (NAMES.test(param.key)) {
        const [, base, rest] = /^([^.]*)(.*)$/s.exec(param.value) ?? [];
        const whole = renamed.get(param.value);
        const bus = param.key === 'bus' ? renamed.get(base) : undefined;
        const next = whole ?? (bus === undefined ? undefined : bus + rest);
        if (next !== undefined) edits.push(setValue(option, param, next));
      }
    }
  }
  const written = options.map((option) =>
    applyEdits(
      text.slice(0, option.span.end),
      edits.filter((e) => e.span.start >= option.span.start && e.span.end <= option.span.end),
    ).slice(option.span.start),
  );
  const head = line.text.trimEnd().replace(/\s*\\$/, '');
  return [head, ...written].join(line.text.trim().includes('\n') || written.length > 1 ? ' \\\n  ' : ' ');
}

/** New names for those of `options` that the line has already. */
function newNames(line: CommandLine, options: readonly Option[]): Map<string, string> {
  const own = (list: readonly Option[]): string[] =>
    list.flatMap((o) => o.params.filter((p) => /^(?:id|node-name)$/.test(p.key)).map((p) => p.value));
  const taken = new Set([...own(line.options), ...own(options)]);
  const present = new Set(own(line.options));
  const renamed = new Map<string, string>();
  for (const name of own(options)) {
    if (!present.has(name) || renamed.has(name)) continue;
    const stem = name.replace(/\d+$/, '');
    let number = 1;
    while (taken.has(`${stem}${String(number)}`)) number++;
    renamed.set(name, `${stem}${String(number)}`);
    taken.add(`${stem}${String(number)}`);
  }
  return renamed;
}
