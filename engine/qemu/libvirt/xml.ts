/**
 * A small, safe XML reader that keeps places: elements, attributes, text. No document type, no entities but the five of
 * XML and numbered characters, depth and size bounded; never throws.
 */
import type { Span } from '../model.ts';

export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  /** Text directly inside, trimmed. */
  text: string;
  span: Span;
}

export interface XmlFault {
  /** Key behind `convert.xml.`. */
  reason: 'doctype' | 'depth' | 'size' | 'tag' | 'mismatch' | 'end' | 'entity' | 'none';
  at: number;
}

const MAX_TEXT = 4 * 1024 * 1024;
const MAX_DEPTH = 64;
const MAX_ELEMENTS = 50_000;
const NAME = String.raw`[A-Za-z_][\w.:-]{0,200}`;
const OPEN = new RegExp(String.raw`<(${NAME})((?:\s+${NAME}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(/?)>`, 'y');
const ATTRIBUTE = new RegExp(String.raw`(${NAME})\s*=\s*(?:"([^"<]*)"|'([^'<]*)')`, 'g');
const CLOSE = new RegExp(String.raw`</(${NAME})\s*>`, 'y');
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

class Fault extends Error {
  readonly reason: XmlFault['reason'];
  readonly at: number;
  constructor(reason: XmlFault['reason'], at: number) {
    super(reason);
    this.reason = reason;
    this.at = at;
  }
}

/** The root element of the text, or where and why it is none. */
export function readXml(text: string): { root: XmlElement } | { fault: XmlFault } {
  try {
    return { root: read(text) };
  } catch (error) {
    if (error instanceof Fault) return { fault: { reason: error.reason, at: error.at } };
    throw error;
  }
}

function read(text: string): XmlElement {
  if (text.length > MAX_TEXT) throw new Fault('size', MAX_TEXT);
  const stack: { element: XmlElement; parts: string[] }[] = [];
  let root: XmlElement | undefined;
  let count = 0;
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('<', at);
    const until = open < 0 ? text.length : open;
    const top = stack.at(-1);
    if (top !== undefined) top.parts.push(decode(text.slice(at, until), at));
    else if (
      text
        .slice(at, until)
        .replace(/^\uFEFF/, '')
        .trim() !== ''
    )
      throw new Fault('tag', at);
    if (open < 0) break;
    at = open;
    if (text.startsWith('<!--', at)) at = skip(text, at, '-->');
    else if (text.startsWith('<?', at)) at = skip(text, at, '?>');
    else if (text.startsWith('<![CDATA[', at) && top !== undefined) {
      const end = skip(text, at, ']]>');
      top.parts.push(text.slice(at + 9, end - 3));
      at = end;
    } else if (text.startsWith('<!', at)) throw new Fault('doctype', at);
    else if (text.startsWith('</', at)) {
      CLOSE.lastIndex = at;
      const match = CLOSE.exec(text);
      if (match === null) throw new Fault('tag', at);
      const closed = stack.pop();
      if (closed?.element.name !== match[1]) throw new Fault('mismatch', at);
      at = CLOSE.lastIndex;
      closed.element.span.end = at;
      closed.element.text = closed.parts.join('').trim();
    } else {
      OPEN.lastIndex = at;
      const match = OPEN.exec(text);
      if (match === null || (root !== undefined && stack.length === 0)) throw new Fault('tag', at);
      if (stack.length >= MAX_DEPTH) throw new Fault('depth', at);
      if (++count > MAX_ELEMENTS) throw new Fault('size', at);
      const span = { start: at, end: OPEN.lastIndex };
      const attributes = readAttributes(match[2], at);
      const element: XmlElement = { name: match[1], attributes, children: [], text: '', span };
      if (top === undefined) root = element;
      else top.element.children.push(element);
      if (match[3] === '') stack.push({ element, parts: [] });
      at = span.end;
    }
  }
  const unclosed = stack.at(-1);
  if (unclosed !== undefined) throw new Fault('end', unclosed.element.span.start);
  if (root === undefined) throw new Fault('none', 0);
  return root;
}

function skip(text: string, at: number, end: string): number {
  const found = text.indexOf(end, at);
  if (found < 0) throw new Fault('end', at);
  return found + end.length;
}

function readAttributes(text: string, at: number): Record<string, string> {
  const pairs = [...text.matchAll(ATTRIBUTE)].map((m) => [m[1], decode(m[2] ?? m[3] ?? '', at)] as const);
  return Object.fromEntries(pairs);
}

function decode(text: string, at: number): string {
  return text.replaceAll(/&([^;\s&]{0,10});?/g, (whole, name: string, offset: number) => {
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    const point =
      code === null ? undefined : Number.parseInt(code[1] ?? code[2], code[1] === undefined ? 10 : 16);
    const character =
      point === undefined
        ? Object.hasOwn(ENTITIES, name)
          ? ENTITIES[name]
          : undefined
        : point > 0 && point <= 0x10ffff
          ? String.fromCodePoint(point)
          : undefined;
    if (character === undefined || !whole.endsWith(';')) throw new Fault('entity', at + offset);
    return character;
  });
}

/** The first child of that name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((c) => c.name === name);
}

/** Text as it stands between tags or in a single-quoted attribute. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;');
}
