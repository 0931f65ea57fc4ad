/** What a pasted text is, when it is no command line. */

export type TextForm = 'libvirt' | 'qmp' | 'config';

/** Most letters that are looked at. */
const HEAD = 64 * 1024;

/** The form of `text`; undefined for a command line and for everything that is not known. */
export function textForm(text: string): TextForm | undefined {
  const head = text.slice(0, HEAD).replace(/^\uFEFF/, '');
  const start = head.trimStart();
  if (/^<(?:\?xml|!--|domain|disk|devices|domstatus)\b|^<!--/.test(start)) return 'libvirt';
  // An argument of -blockdev alone is no command: `execute` tells them apart.
  if (/^(?:->|\(QEMU\)|QMP>)?\s*\{/.test(start) && /["']execute["']\s*:/.test(start)) return 'qmp';
  const first = head.split('\n').find((row) => row.trim() !== '' && !row.trim().startsWith('#'));
  if (first !== undefined && /^\s*\[[\w-]+(?: "[^"]*")?\]\s*$/.test(first)) return 'config';
  return undefined;
}
