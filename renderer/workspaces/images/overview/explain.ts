/** What a header field means, in plain words and with its value worked out. */
import type { HeaderField, ImageInfo } from '#contract/images.ts';
import { has, t } from '../../../i18n/index.ts';
import { formatBytes, formatCount } from '../../../lib/format.ts';

/** The value as a number where it is one: `16`, `0x10`, `1 (AES)`. */
function numeric(value: string): number | null {
  const match = /^(0x[0-9a-f]+|\d+)(?: \(|$)/i.exec(value);
  return match === null ? null : Number(match[1]);
}

/** A sentence for the field, or an empty text when the catalogue has none. */
export function explainField(
  info: Pick<ImageInfo, 'format'>,
  field: Pick<HeaderField, 'name' | 'value'>,
): string {
  // VHD and VHDX have structures whose fields bear a prefix in the list of all fields; LUKS has eight key slots alike.
  const name = field.name.replace(/^(header|dynamic)\./, '').replace(/^slots\.\d+\./, 'slots.');
  const key = `images.field.${info.format}.${name}`;
  if (!has(key)) return '';
  const value = numeric(field.value);
  const zero = value === 0 && has(`${key}.zero`);
  return t(zero ? `${key}.zero` : key, {
    value: field.value,
    count: value === null ? field.value : formatCount(value),
    bytes: value === null ? field.value : formatBytes(value),
    power: value === null || value > 62 ? field.value : formatBytes(2 ** value),
    bits: value === null || value > 8 ? field.value : String(2 ** value),
    entries: value === null ? field.value : formatCount(value),
  });
}
