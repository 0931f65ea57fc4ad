/**
 * A JSON reader that keeps places: `-blockdev '{…}'` and `-device '{…}'`. Nested objects become dotted keys, arrays
 * numbered ones, as QEMU's keyval syntax writes them (util/keyval.c). Depth is bounded; it never throws.
 */

export interface JsonLeaf {
  key: string;
  value: string;
  type: 'string' | 'number' | 'boolean' | 'null';
  /** Offsets in the JSON text: the member (`"key": value`), the key's text and the value. */
  start: number;
  end: number;
  keyStart: number;
  keyEnd: number;
  valueStart: number;
  valueEnd: number;
}

export interface JsonFault {
  at: number;
  reason: 'depth' | 'string' | 'value' | 'colon' | 'comma' | 'key' | 'trailing' | 'size';
}

const MAX_DEPTH = 64;
const MAX_LEAVES = 20000;

interface Member {
  key: string;
  start: number;
  keyStart: number;
  keyEnd: number;
}

/** The leaves of a JSON object in `text`, up to the first fault. An empty object or array inside gives no leaf. */
export function readJsonObject(text: string): { leaves: JsonLeaf[]; fault?: JsonFault } {
  const leaves: JsonLeaf[] = [];
  let at = 0;
  let fault: JsonFault | undefined;

  const fail = (reason: JsonFault['reason'], where = at): false => {
    fault ??= { at: where, reason };
    return false;
  };
  const blank = (): void => {
    while (at < text.length && ' \t\r\n'.includes(text[at])) at++;
  };
  /** QEMU's lexer takes single quotes as well. */
  const string = (): string | undefined => {
    const quote = text[at];
    const begin = at;
    const parts: string[] = [];
    at++;
    while (at < text.length && text[at] !== quote) {
      if (text[at] === '\\') {
        const unicode = /^\\u([0-9a-fA-F]{4})/.exec(text.slice(at, at + 6));
        if (unicode !== null) {
          parts.push(String.fromCharCode(Number.parseInt(unicode[1], 16)));
          at += 6;
          continue;
        }
        const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };
        parts.push(escapes[text[at + 1]] ?? text[at + 1] ?? '');
        at += 2;
      } else {
        parts.push(text[at]);
        at++;
      }
    }
    if (at >= text.length) {
      fail('string', begin);
      return undefined;
    }
    at++;
    return parts.join('');
  };
  const value = (member: Member, depth: number): boolean => {
    if (depth > MAX_DEPTH) return fail('depth');
    if (leaves.length > MAX_LEAVES) return fail('size');
    const c = text[at];
    if (c === '{') return object(member.key, depth + 1);
    if (c === '[') return array(member, depth + 1);
    const valueStart = at;
    let type: JsonLeaf['type'];
    let decoded: string;
    if (c === '"' || c === "'") {
      const s = string();
      if (s === undefined) return false;
      type = 'string';
      decoded = s;
    } else {
      const word = /^[-+A-Za-z0-9.]+/.exec(text.slice(at, at + 64))?.[0] ?? '';
      if (word === 'true' || word === 'false') {
        type = 'boolean';
        decoded = word === 'true' ? 'on' : 'off';
      } else if (word === 'null') {
        type = 'null';
        decoded = '';
      } else if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(word)) {
        type = 'number';
        decoded = word;
      } else {
        return fail('value');
      }
      at += word.length;
    }
    leaves.push({ ...member, value: decoded, type, end: at, valueStart, valueEnd: at });
    return true;
  };
  const array = (member: Member, depth: number): boolean => {
    at++;
    blank();
    if (text[at] === ']') {
      at++;
      return true;
    }
    for (let index = 0; ; index++) {
      blank();
      const inner = {
        key: `${member.key}.${String(index)}`,
        start: at,
        keyStart: member.keyStart,
        keyEnd: member.keyEnd,
      };
      if (!value(inner, depth)) return false;
      blank();
      if (text[at] === ',') at++;
      else if (text[at] === ']') {
        at++;
        return true;
      } else return fail('comma');
    }
  };
  const object = (prefix: string, depth: number): boolean => {
    if (depth > MAX_DEPTH) return fail('depth');
    at++;
    blank();
    if (text[at] === '}') {
      at++;
      return true;
    }
    for (;;) {
      blank();
      const start = at;
      if (text[at] !== '"' && text[at] !== "'") return fail('key');
      const name = string();
      if (name === undefined) return false;
      const member = {
        key: prefix === '' ? name : `${prefix}.${name}`,
        start,
        keyStart: start + 1,
        keyEnd: at - 1,
      };
      blank();
      if (text[at] !== ':') return fail('colon');
      at++;
      blank();
      if (!value(member, depth)) return false;
      blank();
      if (text[at] === ',') at++;
      else if (text[at] === '}') {
        at++;
        return true;
      } else return fail('comma');
    }
  };

  blank();
  if (text[at] !== '{') fail('value');
  else if (object('', 0)) {
    blank();
    if (at < text.length) fail('trailing');
  }
  return fault === undefined ? { leaves } : { leaves, fault };
}
