/** Where in a JSON object a cursor stands, when the object is still being written. */

export interface JsonPlace {
  /** Names of the members around the place, outermost first; array items by their number. */
  path: string[];
  /** A member's name or its value is written here. */
  part: 'key' | 'value';
  /** The name that the value belongs to. */
  key: string;
  /** Offset of the token's first character (behind its quote), and of the one behind its last. */
  start: number;
  end: number;
  /** The token stands in quotes, and the closing one is there. */
  quoted: boolean;
  closed: boolean;
}

interface Level {
  array: boolean;
  name: string;
  items: number;
}

const MAX_DEPTH = 64;

/** The place of `offset` in `text`, whose JSON object begins at `from`; undefined outside of it. */
export function jsonPlace(text: string, from: number, offset: number): JsonPlace | undefined {
  const stack: Level[] = [];
  let key = '';
  let part: JsonPlace['part'] = 'key';
  let at = from;
  const place = (start: number, end: number, quoted: boolean, closed: boolean): JsonPlace | undefined => {
    const top = stack.at(-1);
    if (top === undefined) return undefined;
    const path = stack.slice(1).map((level) => level.name);
    return top.array
      ? { path, part: 'value', key: String(top.items), start, end, quoted, closed }
      : { path, part, key: part === 'key' ? '' : key, start, end, quoted, closed };
  };
  while (at < offset) {
    const c = text[at];
    if (c === '"') {
      const end = stringEnd(text, at);
      const close = end ?? text.length;
      if (offset <= close) return place(at + 1, end ?? wordEnd(text, offset), true, end !== undefined);
      if (part === 'key' && stack.at(-1)?.array === false) key = text.slice(at + 1, close);
      at = close + 1;
    } else if (c === '{' || c === '[') {
      if (stack.length >= MAX_DEPTH) return undefined;
      const above = stack.at(-1);
      stack.push({ array: c === '[', name: above?.array === true ? String(above.items) : key, items: 0 });
      part = 'key';
      at++;
    } else if (c === '}' || c === ']') {
      stack.pop();
      if (stack.length === 0) return undefined;
      part = 'value';
      at++;
    } else if (c === ':') {
      part = 'value';
      at++;
    } else if (c === ',') {
      const top = stack.at(-1);
      if (top?.array === true) top.items++;
      part = 'key';
      at++;
    } else if (/[\w.+-]/.test(c)) {
      const end = wordEnd(text, at);
      if (offset <= end) return place(at, end, false, true);
      at = end;
    } else at++;
  }
  return place(offset, offset, false, true);
}

/** The offset of the quote that ends the string which begins at `open`, on the same line. */
function stringEnd(text: string, open: number): number | undefined {
  for (let k = open + 1; k < text.length; k++) {
    if (text[k] === '\\') k++;
    else if (text[k] === '"') return k;
    // A member's name or value has no colon before its end; what follows is the next token's quote.
    else if (text[k] === '\n' || text[k] === '}' || text[k] === "'") return undefined;
  }
  return undefined;
}

function wordEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && /[\w.+-]/.test(text[end])) end++;
  return end;
}
