/** Checks a tree of keys against a QAPI type, as the keyval visitor does (qapi/qobject-input-visitor.c). */
import type { Param } from '../model.ts';
import type { KeyTree } from '../model/tree.ts';
import { readBool, readNumber } from '../model/values.ts';
import { qapiMembers, type QapiType, type Schema } from './schema.ts';

export interface QapiFinding {
  /** `json-type`: a JSON value of the wrong type; `value` then holds the type that is expected. */
  kind: 'unknown' | 'value' | 'missing' | 'boolean' | 'integer' | 'json-type';
  /** Dotted path of the member. */
  path: string;
  value: string;
  param?: Param;
  /** Names or values that would be right. */
  known?: string[];
}

/** What is wrong with `tree` as a value of `type`. With `json`, the types of JSON values are judged instead of their text. */
export function checkQapi(schema: Schema, type: string, tree: KeyTree, json = false): QapiFinding[] {
  const out: QapiFinding[] = [];
  checkObject(schema, type, tree, '', json, out, 0);
  return out;
}

function checkObject(
  schema: Schema,
  typeName: string,
  tree: KeyTree,
  path: string,
  json: boolean,
  out: QapiFinding[],
  depth: number,
): void {
  const type = schema.types[typeName];
  if (type?.kind !== 'object' || depth > 32) return;
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  let tagValue: string | undefined;
  if (type.tag !== undefined) {
    const tag = tree.children.get(type.tag)?.param;
    if (tag === undefined) {
      if (type.members[type.tag]?.optional !== true)
        out.push({ kind: 'missing', path: at(type.tag), value: '' });
      return;
    }
    tagValue = tag.value;
    const values = schema.types[type.members[type.tag].type];
    if (tag.variable === true) return;
    if (values?.kind === 'enum' && !values.values.includes(tag.value)) {
      out.push({ kind: 'value', path: at(type.tag), value: tag.value, param: tag, known: values.values });
      return;
    }
  }
  const members = qapiMembers(schema, typeName, tagValue) ?? new Map<string, never>();
  for (const [name, sub] of tree.children) {
    const member = members.get(name);
    if (member === undefined) {
      const param = anyParam(sub);
      out.push({
        kind: 'unknown',
        path: at(name),
        value: param?.value ?? '',
        known: [...members.keys()],
        ...(param === undefined ? {} : { param }),
      });
      continue;
    }
    checkValue(schema, member.type, sub, at(name), json, out, depth + 1);
  }
  for (const [name, member] of members) {
    if (member.optional !== true && !tree.children.has(name))
      out.push({ kind: 'missing', path: at(name), value: '' });
  }
}

function checkValue(
  schema: Schema,
  typeName: string,
  tree: KeyTree,
  path: string,
  json: boolean,
  out: QapiFinding[],
  depth: number,
): void {
  const type: QapiType | undefined = schema.types[typeName];
  const param = tree.param;
  if (type === undefined || param?.variable === true) return;
  switch (type.kind) {
    case 'object':
      if (param === undefined) checkObject(schema, typeName, tree, path, json, out, depth);
      break;
    case 'enum':
      if (param !== undefined && !type.values.includes(param.value)) {
        out.push({ kind: 'value', path, value: param.value, param, known: type.values });
      }
      break;
    case 'alternate': {
      // Only objects can be judged: a string may be one of several things.
      const object = type.of.find((t) => schema.types[t]?.kind === 'object');
      if (param === undefined && object !== undefined)
        checkObject(schema, object, tree, path, json, out, depth);
      break;
    }
    case 'array':
      for (const [index, item] of tree.children)
        checkValue(schema, type.of, item, `${path}.${index}`, json, out, depth + 1);
      break;
    case 'builtin':
      if (param !== undefined) checkBuiltin(type.json, param, path, json, out);
      break;
    default:
  }
}

function checkBuiltin(expected: string, param: Param, path: string, json: boolean, out: QapiFinding[]): void {
  if (json) {
    const wrong =
      (expected === 'int' && param.json !== 'number') ||
      (expected === 'boolean' && param.json !== 'boolean') ||
      (expected === 'string' && param.json !== 'string');
    if (wrong) out.push({ kind: 'json-type', path, value: expected === 'int' ? 'integer' : expected, param });
    return;
  }
  if (param.json !== undefined) return;
  if (expected === 'boolean' && readBool(param.value) === undefined) {
    out.push({ kind: 'boolean', path, value: param.value, param, known: ['on', 'off'] });
  } else if (expected === 'int' && readNumber(param.value) === undefined) {
    // Only true sizes take a suffix, and block drivers have none; the masked schema calls both `int`.
    out.push({ kind: 'integer', path, value: param.value, param });
  }
}

function anyParam(tree: KeyTree): Param | undefined {
  if (tree.param !== undefined) return tree.param;
  for (const child of tree.children.values()) {
    const found = anyParam(child);
    if (found !== undefined) return found;
  }
  return undefined;
}
