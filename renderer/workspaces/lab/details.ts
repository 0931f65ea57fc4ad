/** How the device's registers are written: places, words, numbers. */
import type { DetailField, DetailPlace } from '#contract/lab-details.ts';
import { has, t } from '../../i18n/index.ts';
import { formatBytes, formatCount, formatHex } from '../../lib/format.ts';

/** `PCI 0x04`, `BAR 4 + 0x014`, `0x0010_0000`. */
export function placeText(place: DetailPlace | null): string {
  if (place === null) return '';
  switch (place.space) {
    case 'pci':
      return `PCI ${formatHex(place.offset, 2)}`;
    case 'bar':
      return `BAR ${place.bar} + ${formatHex(place.offset, 3)}`;
    case 'memory':
      return formatHex(place.address, 8);
    case 'port':
      return `I/O ${formatHex(place.port, 4)}`;
    default:
      return t('lab-details.place.device');
  }
}

/** The same as a sentence. */
export function placeSentence(place: DetailPlace | null): string {
  if (place === null) return '';
  switch (place.space) {
    case 'pci':
      return t('lab-details.place.pci', { offset: formatHex(place.offset, 2) });
    case 'bar': {
      const { bar, address } = place;
      const offset = formatHex(place.offset, 3);
      return address === null
        ? t('lab-details.place.bar-off', { bar, offset })
        : t('lab-details.place.bar', { bar, offset, address: formatHex(address, 8) });
    }
    case 'memory':
      return t('lab-details.place.memory', { address: formatHex(place.address, 8) });
    case 'port':
      return t('lab-details.place.port', { port: formatHex(place.port, 4) });
    default:
      return t('lab-details.place.device');
  }
}

/** Words that the engine writes in English; names of the specification stay as they are. */
export function words(text: string): string {
  return text
    .split(', ')
    .map((part) => {
      const numbered =
        /^(\d+) (?:to take|descriptors)$/.exec(part) ?? /^(?:queue|target|drive) (\d+)$/.exec(part);
      const key = `lab-details.word.${numbered === null ? part : part.replace(numbered[1], 'n')}`;
      return has(key) ? t(key, { n: numbered?.[1] ?? '' }) : part;
    })
    .join(', ');
}

/** Where the field is among those of its section; 0 when it is not there. With a queue, behind the row that selects it. */
export function fieldIndex(
  fields: readonly DetailField[],
  { field, queue }: { field?: string; queue?: number },
): number {
  const from = fields.findIndex(({ name, value }) => name === 'queue_select' && value === queue);
  return Math.max(
    0,
    fields.findIndex(({ name }, index) => index > from && name === field),
  );
}

export function fieldName({ name }: DetailField): string {
  return has(`lab-details.name.${name}`) ? t(`lab-details.name.${name}`) : name;
}

/** The number in the person's radix, addresses by as many digits as they need; bits as 0 and 1. */
export function valueText({ value, bytes, as }: DetailField, radix: 'hex' | 'dec'): string {
  if (value === null) return '';
  if (as === 'bytes') return formatBytes(value);
  if (as === 'count') return formatCount(value);
  return radix === 'hex' ? formatHex(value, Math.min(8, bytes * 2)) : formatCount(value);
}

/** Hexadecimal, decimal, and for small numbers binary. */
export function allForms({ value, bytes }: DetailField): string {
  if (value === null) return '';
  const forms = [formatHex(value, Math.max(1, bytes * 2)), formatCount(value)];
  if (bytes > 0 && bytes <= 2) {
    const bits = value.toString(2).padStart(bytes * 8, '0');
    forms.push(`0b${bits.replace(/\B(?=(\d{4})+$)/g, '_')}`);
  }
  return forms.join(' · ');
}

/** A field of the Device view: its section, its name (the first one when left out), and the virtqueue when there is one for each. */
export interface WantedField {
  section: string;
  field?: string;
  queue?: number;
}
