/** Names of nodes and what fields mean, in the present language. */
import type { ImageInfo } from '#contract/images.ts';
import type { StructureField, StructureNode } from '#contract/structure.ts';
import { has, t } from '../../../i18n/index.ts';
import { formatBytes, formatHex } from '../../../lib/format.ts';
import { explainField } from '../overview/explain.ts';

/** Parameters that are offsets are shown in hexadecimal, sizes in binary units. */
function shown(params: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      if (typeof value === 'string') return [name, value];
      if (name === 'guest' || name === 'host' || name === 'offset') return [name, formatHex(value)];
      return [name, name === 'bytes' ? formatBytes(value) : String(value)];
    }),
  );
}

export function nodeName(node: Pick<StructureNode, 'label' | 'params'>): string {
  return t(`structure.node.${node.label}`, shown(node.params));
}

/** A sentence for the node, or an empty text. */
export function nodeAbout(node: Pick<StructureNode, 'label' | 'params'>): string {
  const key = `structure.about.${node.label}`;
  return has(key) ? t(key, shown(node.params)) : '';
}

/** What the field's value means, or an empty text. */
export function fieldSays(info: ImageInfo, field: StructureField): string {
  if (field.say !== undefined) return t(`structure.say.${field.say.key}`, shown(field.say.params));
  return explainField(info, field);
}
