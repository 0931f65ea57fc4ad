/** Two command lines by meaning: order of parameters, spelling, quoting and layout do not count. */
import type { CommandLine, Option, Span } from './model.ts';
import { canonicalDriver } from './model/device-kinds.ts';
import { parsePciAddress } from './model/placement.ts';
import { readNumber } from './model/values.ts';
import { storageModel } from './storage-model.ts';

export interface Difference {
  kind: 'only-left' | 'only-right' | 'changed';
  /** `device virtio-disk1`, `drive d0`, `m`, … */
  what: string;
  /** Parameters that differ; empty when one side has no such option at all. */
  params: { key: string; left?: string; right?: string }[];
  left?: Span;
  right?: Span;
}

interface Item {
  what: string;
  values: Map<string, string>;
  span: Span;
}

/** How the right line differs from the left one. */
export function compareLines(left: CommandLine, right: CommandLine): Difference[] {
  const a = items(left);
  const b = items(right);
  const out: Difference[] = [];
  for (const [key, item] of a) {
    const other = b.get(key);
    if (other === undefined) {
      out.push({ kind: 'only-left', what: item.what, params: [], left: item.span });
      continue;
    }
    const params: Difference['params'] = [];
    for (const name of new Set([...item.values.keys(), ...other.values.keys()])) {
      const l = item.values.get(name);
      const r = other.values.get(name);
      if (l !== r)
        params.push({
          key: name,
          ...(l === undefined ? {} : { left: l }),
          ...(r === undefined ? {} : { right: r }),
        });
    }
    if (params.length > 0)
      out.push({ kind: 'changed', what: item.what, params, left: item.span, right: other.span });
  }
  for (const [key, item] of b) {
    if (!a.has(key)) out.push({ kind: 'only-right', what: item.what, params: [], right: item.span });
  }
  return out;
}

/** Options by what identifies them: the id, else their kind and number among those of the same kind. */
function items(line: CommandLine): Map<string, Item> {
  const found = new Map<string, Item>();
  const counts = new Map<string, number>();
  /** The number for the next of a name that occurs more than once. */
  const next = new Map<string, number>();
  const add = (kind: string, id: string | undefined, values: Map<string, string>, span: Span): void => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    const what = id === undefined ? `${kind} #${String(count)}` : `${kind} ${id}`;
    let key = what;
    for (let i = next.get(what) ?? 2; found.has(key); i++) {
      key = `${what} ${String(i)}`;
      next.set(what, i + 1);
    }
    found.set(key, { what, values, span });
  };
  const model = storageModel(line);
  for (const drive of model.drives) {
    // The short options mean the same as a -drive with their index.
    if (drive.option.name === 'drive') continue;
    const values = new Map([
      ['file', drive.file ?? ''],
      ['if', drive.if],
      ['media', drive.media],
      ['place', `${String(drive.bus)}.${String(drive.unit)}`],
    ]);
    add('drive', drive.id, values, drive.span);
  }
  const applied = new Set(line.options.flatMap((o) => o.params.map((p) => p.from)));
  const drives = new Map(model.drives.map((d) => [d.option, d]));
  for (const option of line.options) {
    // It counts where it takes effect.
    if (applied.has(option)) continue;
    const drive = drives.get(option);
    if (drive !== undefined && option.name !== 'drive') continue;
    const name = ALIASES[option.name] ?? option.name;
    const values = normalised(option);
    if (drive !== undefined) {
      for (const key of ['index', 'bus', 'unit', 'id', 'media', 'if']) values.delete(key);
      values.set('if', drive.if).set('media', drive.media);
      if (drive.if !== 'none') values.set('place', `${String(drive.bus)}.${String(drive.unit)}`);
      add('drive', drive.id, values, option.span);
    } else {
      const id = values.get('id') ?? values.get('node-name');
      values.delete('id');
      add(name, id, values, option.span);
    }
  }
  return found;
}

const ALIASES: Readonly<Partial<Record<string, string>>> = { M: 'machine', 'enable-kvm': 'accel' };

/** Keys whose values are names, not switches or numbers. */
const NAMES = new Set(['id', 'drive', 'bus', 'file', 'filename', 'node-name', 'serial', 'iothread', 'guest']);

/** Values in one spelling: `yes` is `on`, `0x5` is `05.0` for an address, aliases are resolved. */
function normalised(option: Option): Map<string, string> {
  const values = new Map<string, string>();
  if (option.name === 'enable-kvm') return values.set('accel', 'kvm');
  if (option.params.length === 0 && option.argument !== undefined) return values.set('', option.argument);
  for (const { key, value } of option.params) {
    const name =
      key === 'readonly' ? 'read-only' : option.name === 'drive' && key === 'driver' ? 'format' : key;
    let text = value;
    if (NAMES.has(key)) text = value;
    else if (/^(?:yes|true)$/.test(value)) text = 'on';
    else if (/^(?:no|false)$/.test(value)) text = 'off';
    else if (option.name === 'device' && key === 'driver') text = canonicalDriver(value);
    else if (key === 'addr' && parsePciAddress(value) !== undefined) {
      const at = parsePciAddress(value);
      text = `${String(at?.slot)}.${String(at?.fn)}`;
    } else if (/^0x[0-9a-f]+$/i.test(value)) text = String(readNumber(value));
    values.set(name, text);
  }
  return values;
}
