/** Nodes of structures whose fields are known: headers as `describe` lists them. */
import type { OwnerKind, StructureField, StructureLink } from '../../../contract/structure.ts';
import type { HeaderField } from '../format.ts';
import { listed, type TreeNode } from './node.ts';

export interface StructNode {
  label?: string;
  params?: Record<string, string | number>;
  owner?: OwnerKind;
  /** Where fields point, by their name. */
  links?: Record<string, StructureLink[] | undefined>;
  /** Cut off the front of every field's name. */
  prefix?: string;
  /** Bytes, when the structure is longer than its fields. */
  length?: number;
}

/** A node over fields in file order; undefined when there are none. */
export function headerNode(fields: readonly HeaderField[], about: StructNode = {}): TreeNode | undefined {
  if (fields.length === 0) return undefined;
  const offset = Math.min(...fields.map((field) => field.offset));
  const end = Math.max(...fields.map((field) => field.offset + field.length));
  return {
    label: about.label ?? 'header',
    params: about.params,
    owner: about.owner ?? 'header',
    offset,
    length: about.length ?? end - offset,
    fields: listed(fields.map((field) => withLinks(field, about))),
  };
}

function withLinks(field: HeaderField, { prefix = '', links = {} }: StructNode): StructureField {
  const name = field.name.startsWith(prefix) ? field.name.slice(prefix.length) : field.name;
  return { ...field, name, links: links[name] };
}
