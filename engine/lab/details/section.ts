/** How the Device view's sections are written: a section makes its fields when somebody looks, out of the device's own state. */
import type {
  DetailField,
  DetailPlace,
  DetailSection,
  DetailTone,
  DetailView,
} from '#contract/lab-details.ts';

export interface Section extends DetailSection {
  fields(): DetailField[];
}

export interface FieldOptions {
  level?: number;
  as?: DetailField['as'];
  text?: string;
  source?: string;
  place?: DetailPlace | null;
  tone?: DetailTone;
  request?: number;
}

/** One row. `bytes`: its width, 0 for a bit or for what has none. */
export function field(
  name: string,
  meaning: string,
  value: number | null,
  bytes: number,
  options: FieldOptions = {},
): DetailField {
  return {
    name,
    meaning,
    value,
    bytes,
    level: options.level ?? 0,
    as: options.as ?? 'hex',
    text: options.text ?? '',
    source: options.source ?? '',
    place: options.place ?? null,
    tone: options.tone ?? 'plain',
    request: options.request ?? 0,
  };
}

export interface BitName {
  /** Bit number, from 0. */
  bit: number;
  name: string;
  meaning: string;
  /** A bit that says that something is wrong. */
  bad?: boolean;
}

/** One row for each named bit of a register, below it. */
export function bitFields(value: number, bits: readonly BitName[], options: FieldOptions): DetailField[] {
  return bits.map(({ bit, name, meaning, bad = false }) => {
    const on = Math.floor(value / 2 ** bit) % 2 === 1;
    const tone = on ? (bad ? 'bad' : 'on') : 'off';
    return field(`${bit} ${name}`, meaning, on ? 1 : 0, 0, { level: 1, ...options, as: 'count', tone });
  });
}

/** The view of one section; the first when there is none with this id. */
export function detailView(sections: readonly Section[], wanted: string): DetailView {
  const chosen = sections.find(({ id }) => id === wanted) ?? sections[0];
  return {
    sections: sections.map(({ id, key, text }) => ({ id, key, text })),
    section: chosen?.id ?? '',
    fields: chosen?.fields() ?? [],
  };
}
