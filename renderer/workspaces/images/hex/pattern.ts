/** What a person types to look for, as bytes. */
export type PatternKind = 'hex' | 'utf8' | 'utf16';

/** The most bytes that can be looked for. */
const MOST = 1024;

/** The bytes in hexadecimal digits, or null when the text stands for none (or for more than 1024). */
export function patternDigits(text: string, kind: PatternKind): string | null {
  const digits = kind === 'hex' ? text.replace(/\s|0x/gi, '').toLowerCase() : digitsOf(encode(text, kind));
  return /^([0-9a-f]{2})+$/.test(digits) && digits.length <= MOST * 2 ? digits : null;
}

function encode(text: string, kind: 'utf8' | 'utf16'): Uint8Array {
  if (kind === 'utf8') return new TextEncoder().encode(text);
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at += 1) view.setUint16(at * 2, text.charCodeAt(at), true);
  return bytes;
}

function digitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
