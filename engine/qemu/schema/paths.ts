/** Walks a QAPI type along dotted keys. */
import type { KeyTree } from '../model/tree.ts';
import { qapiMembers, type QapiMember, type Schema } from './schema.ts';

/** The object type among what a member may be (an inline node or a reference to one), else the type itself. */
function objectOf(schema: Schema, type: string): string {
  const found = schema.types[type];
  if (found?.kind === 'array') return objectOf(schema, found.of);
  if (found?.kind !== 'alternate') return type;
  return found.of.find((t) => schema.types[t]?.kind === 'object') ?? type;
}

/** The members at a place of the tree: those of the driver that is chosen there. */
export function membersAt(
  schema: Schema,
  root: string,
  tree: KeyTree,
  path: readonly string[],
): ReadonlyMap<string, QapiMember> | undefined {
  let type = root;
  let at: KeyTree | undefined = tree;
  for (const part of path) {
    const object = schema.types[type];
    if (object?.kind === 'object') {
      const member = qapiMembers(schema, type, tagOf(object.tag, at))?.get(part);
      if (member === undefined) return undefined;
      const next = schema.types[member.type];
      at = at?.children.get(part);
      // The index of an array comes as the next part of the path.
      type = next?.kind === 'array' ? member.type : objectOf(schema, member.type);
    } else if (object?.kind === 'array') {
      type = objectOf(schema, object.of);
      at = at?.children.get(part);
    } else {
      return undefined;
    }
  }
  const object = schema.types[type];
  return object?.kind === 'object' ? qapiMembers(schema, type, tagOf(object.tag, at)) : undefined;
}

function tagOf(tag: string | undefined, tree: KeyTree | undefined): string | undefined {
  return tag === undefined ? undefined : tree?.children.get(tag)?.param?.value;
}

/** The member that a dotted key names. */
export function memberAt(
  schema: Schema,
  root: string,
  tree: KeyTree,
  path: readonly string[],
): QapiMember | undefined {
  const last = path.at(-1);
  return last === undefined ? undefined : membersAt(schema, root, tree, path.slice(0, -1))?.get(last);
}
