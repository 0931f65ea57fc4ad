/** What the present line can be turned into, and what can be turned into a line. */
import { toBlockdev } from '#engine/qemu/convert/blockdev.ts';
import { fromConfig, toConfig } from '#engine/qemu/convert/config.ts';
import type { TextForm } from '#engine/qemu/convert/detect.ts';
import { toDrive } from '#engine/qemu/convert/drive.ts';
import { fromQmp, toJson, toQmp } from '#engine/qemu/convert/json.ts';
import { toLongOptions } from '#engine/qemu/convert/long.ts';
import type { Conversion } from '#engine/qemu/convert/notes.ts';
import { toScript } from '#engine/qemu/convert/script.ts';
import { applyEdits } from '#engine/qemu/edit.ts';
import { fromLibvirt } from '#engine/qemu/libvirt/read.ts';
import { toLibvirt } from '#engine/qemu/libvirt/write.ts';
import type { CommandLine, LintContext } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';

export const TARGETS = ['blockdev', 'drive', 'long', 'json', 'script', 'libvirt', 'config', 'qmp'] as const;
export type Target = (typeof TARGETS)[number];

/** Results that are command lines again and can take the present one's place. */
export const LINES: ReadonlySet<Target> = new Set<Target>(['blockdev', 'drive', 'long', 'json']);

/** Forms that hold a whole machine, what stands in configuration files included. In the others the line still names those. */
const WHOLE: ReadonlySet<Target> = new Set<Target>(['libvirt', 'config', 'qmp']);

const CONVERT: Record<Target, (line: CommandLine, context: LintContext) => Conversion> = {
  blockdev: toBlockdev,
  drive: toDrive,
  long: toLongOptions,
  json: toJson,
  script: toScript,
  libvirt: toXml,
  config: (line) => toConfig(line),
  qmp: toQmp,
};

/** libvirt knows block nodes only. Notes keep to places of the present line. */
function toXml(line: CommandLine, { configs }: LintContext): Conversion {
  const text = withFiles(line, configs);
  const nodes = toBlockdev(parseCommandLine(text));
  const whole = { start: 0, end: 0 };
  const xml = toLibvirt(parseCommandLine(nodes.text));
  const placed = (notes: Conversion['notes'], from: string): Conversion['notes'] =>
    from === line.text ? notes : notes.map((note) => ({ ...note, span: placeOf(line, note) ?? whole }));
  return { text: xml.text, notes: [...placed(nodes.notes, text), ...placed(xml.notes, nodes.text)] };
}

/** The text with what the files hold in the place of each `-readconfig` that was read. */
function withFiles(line: CommandLine, configs: LintContext['configs']): string {
  const edits = line.options
    .filter((option) => option.read === true)
    .map(({ span, argument = '' }) => ({ span, text: fromConfig(configs?.get(argument) ?? '').text }));
  return applyEdits(line.text, edits);
}

/** The option of the present line that the note is about, by the name that it gives. */
function placeOf(
  line: CommandLine,
  note: Conversion['notes'][number],
): Conversion['notes'][number]['span'] | undefined {
  const names = Object.values(note.params);
  return line.options.find((o) =>
    o.params.some(
      (p) => (p.key === 'id' || p.key === 'driver' || p.key === 'node-name') && names.includes(p.value),
    ),
  )?.span;
}

export function convert(line: CommandLine, target: Target, context: LintContext): Conversion {
  if (!WHOLE.has(target)) return CONVERT[target](parseCommandLine(line.text), context);
  const { text, notes } = CONVERT[target](line, context);
  // What was read is in the result.
  const read = line.options.filter((option) => option.read === true).map((option) => option.span);
  return {
    text,
    notes: notes.filter(({ span }) => !read.some((r) => r.start === span.start && r.end === span.end)),
  };
}

const READ: Record<TextForm, (text: string) => Conversion> = {
  libvirt: fromLibvirt,
  qmp: fromQmp,
  config: fromConfig,
};

/** A text of that form as a command line; places of the notes are in the text. */
export function read(text: string, form: TextForm): Conversion {
  return READ[form](text);
}
