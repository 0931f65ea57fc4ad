/** An option's parameters as a list that can be changed and printed again, in the spelling of the line. */
import type { Option, Param } from '../model.ts';
import { escapeValue, ownParams } from '../edit.ts';

/**
 * Everything that QEMU gets is printed from what Platter read, never copied: so QEMU cannot see another parameter than those
 * that were judged.
 */
export class Words {
  readonly option: Option;
  params: Param[];
  /** Print `key=value` although the line has JSON: QEMU would read JSON as a list where it does not know it. */
  plain = false;

  constructor(option: Option) {
    this.option = option;
    // What `-set` and `-global` say is handed over by themselves.
    this.params = ownParams(option);
  }

  get(key: string): Param | undefined {
    return this.params.findLast((p) => p.key === key);
  }

  /** Sets every parameter of that name, or adds one at the end. Booleans of JSON stay booleans. */
  set(key: string, value: string, json: Param['json'] = 'string'): void {
    const made = (at: Param): Param => ({
      key,
      value,
      form: 'pair',
      span: at.span,
      keySpan: at.keySpan,
      valueSpan: at.valueSpan,
      ...(this.option.json === true ? { json } : {}),
    });
    const known = this.get(key);
    if (known === undefined) {
      const { span } = this.option;
      this.params.push(made({ key, value, form: 'pair', span, keySpan: span, valueSpan: span }));
      return;
    }
    this.remove((p) => p.key === key && p !== known);
    this.params = this.params.map((p) =>
      p === known ? (p.form === 'implied' ? { ...p, value } : made(p)) : p,
    );
  }

  /** Takes parameters out, and answers them. */
  remove(which: (param: Param) => boolean): Param[] {
    const out = this.params.filter(which);
    if (out.length > 0) this.params = this.params.filter((p) => !which(p));
    return out;
  }

  print(): string {
    if (this.option.json === true && !this.plain) return JSON.stringify(jsonOf(this.params));
    // A key out of JSON may hold what ends a parameter in a list.
    return this.params
      .filter((p) => !/[,=]/.test(p.key))
      .map(printParam)
      .join(',');
  }
}

/** As it is shown to a person: `romfile=x`. */
export function printParam(param: Param): string {
  switch (param.form) {
    case 'implied':
      // A value with `=` in it would be read as a pair.
      return param.value.includes('=')
        ? `${param.key}=${escapeValue(param.value)}`
        : escapeValue(param.value);
    case 'short-on':
      return param.key;
    case 'short-off':
      return `no${param.key}`;
    default:
      return `${param.key}=${escapeValue(param.value)}`;
  }
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Dotted keys as nested objects; objects whose keys are all numbers are arrays. */
function jsonOf(params: readonly Param[]): Json {
  const root = new Map<string, Branch>();
  for (const param of params) {
    const parts = param.key.split('.');
    let at = root;
    for (const part of parts.slice(0, -1)) {
      let next = at.get(part);
      if (!(next instanceof Map)) at.set(part, (next = new Map<string, Branch>()));
      at = next;
    }
    at.set(parts[parts.length - 1], param);
  }
  return build(root);
}
type Branch = Param | Map<string, Branch>;

function build(branch: Branch): Json {
  if (!(branch instanceof Map)) {
    if (branch.json === 'null') return null;
    if (branch.json === 'boolean') return branch.value === 'on' || branch.value === 'true';
    if (branch.json === 'number') return Number(branch.value);
    return branch.value;
  }
  const entries = [...branch];
  if (entries.length > 0 && entries.every(([key], index) => key === String(index)))
    return entries.map(([, value]) => build(value));
  return Object.fromEntries(entries.map(([key, value]) => [key, build(value)]));
}
