/** Whatever is pasted is answered with a message at its place: nothing hangs, nothing is thrown, nothing is lost. */
import { describe, expect, it } from 'vitest';
import { compareLines } from './compare.ts';
import { complete } from './complete.ts';
import { toBlockdev } from './convert/blockdev.ts';
import { fromConfig, toConfig } from './convert/config.ts';
import { textForm } from './convert/detect.ts';
import { toDrive } from './convert/drive.ts';
import { fromQmp, toJson, toQmp } from './convert/json.ts';
import { toScript } from './convert/script.ts';
import { explain } from './explain.ts';
import { explainError } from './explain-error.ts';
import { hover } from './hover.ts';
import { fromLibvirt } from './libvirt/read.ts';
import { toLibvirt } from './libvirt/write.ts';
import { lint } from './lint.ts';
import { addressMap, bootOrder } from './maps.ts';
import { parseCommandLine, printCommandLine } from './parse.ts';
import { topology } from './topology.ts';

const context = { version: '10.2' };

/** Everything that is done with a line; it must come back. */
function all(text: string): string[] {
  const line = parseCommandLine(text);
  expect(printCommandLine(line)).toBe(text);
  const problems = lint(line, context);
  for (const { span } of problems) {
    expect(span.start).toBeGreaterThanOrEqual(0);
    expect(span.end).toBeGreaterThanOrEqual(span.start);
    expect(span.end).toBeLessThanOrEqual(text.length);
  }
  topology(line, context, problems);
  explain(line);
  addressMap(line);
  bootOrder(line);
  compareLines(line, line);
  const places = text.length > 100_000 ? [text.length] : [0, Math.floor(text.length / 2), text.length];
  for (const offset of places) {
    complete(text, offset, context);
    hover(line, offset, context);
  }
  for (const convert of [toBlockdev, toDrive, toConfig, toScript, toLibvirt]) convert(line);
  toJson(line, context);
  toQmp(line, context);
  return problems.map((p) => p.rule);
}

const DRIVE = '-drive file=a,if=none,id=d,format=raw';
const MEGABYTE = 1024 * 1024;

describe('lines that are none', () => {
  it.each([
    ['a single quote that is never closed', `${DRIVE} -device 'virtio-blk-pci,drive=d`, 'X01'],
    ['a double quote that is never closed', `${DRIVE} -device "virtio-blk-pci,drive=d`, 'X01'],
    ['a brace that is never closed', `-blockdev '{"driver": "qcow2"`, 'X05'],
    ['a substitution that is never closed', '-hda $(cat /etc/passwd', 'X01'],
    ['backquotes that are never closed', '-hda `rm -rf /', 'X01'],
    ['control characters in an id', '-drive file=a,if=none,id=d\u0007\u001b[2J,format=raw', 'X07'],
    ['a zero byte', '-hda a\u0000b', 'X07'],
    ['an override of the direction of writing', '-hda a\u202egnp.exe', 'X07'],
    ['JSON nested too deeply', `-blockdev '${'{"file":'.repeat(100_000)}'`, 'X05'],
    ['arrays nested too deeply', `-device '{"driver": ${'['.repeat(100_000)}'`, 'X05'],
    ['typographic dashes', '–drive file=a', 'X06'],
  ])('%s: said at its place', (_name, text, rule) => {
    expect(all(text)).toContain(rule);
  });

  it('binary garbage', () => {
    let state = 7;
    const bytes = Array.from({ length: 20_000 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return String.fromCharCode((state >>> 16) & 0xff);
    });
    all(bytes.join(''));
  });

  it.each([
    ['of one word', 'x'.repeat(MEGABYTE)],
    ['of blanks', ' '.repeat(MEGABYTE)],
    ['of dashes', '-'.repeat(MEGABYTE)],
    ['of commas', `-drive ${','.repeat(MEGABYTE)}`],
    ['of dots in a key', `-blockdev a${'.b'.repeat(MEGABYTE / 2)}=1`],
    ['of backslashes', '\\'.repeat(MEGABYTE)],
    ['of quotes', `'"`.repeat(MEGABYTE / 2)],
    ['of options', `${DRIVE} `.repeat(MEGABYTE / DRIVE.length)],
    ['of devices on one bus', '-device virtio-blk-pci,drive=d '.repeat(2000)],
    ['of -set', `${DRIVE} ${'-set drive.d.cache=none '.repeat(1900)}`],
    ['of -global', `-device nvme,drive=d ${'-global nvme.serial=1 '.repeat(1900)}`],
    ['of a file name', `-hda ${'a/'.repeat(MEGABYTE / 2)}`],
    ['of variables', '$A'.repeat(MEGABYTE / 2)],
  ])('a megabyte %s', (_name, text) => {
    all(text);
  });

  it('a circle of block nodes, and one of buses', () => {
    all(
      '-blockdev driver=raw,node-name=a,file=b -blockdev driver=raw,node-name=b,file=a -device nvme,drive=a',
    );
    all('-device pci-bridge,id=a,bus=b -device pci-bridge,id=b,bus=a -device pci-bridge,id=c,bus=c');
  });

  it('names that are members of every object', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      all(
        `-drive file=${name},if=${name},id=${name},format=${name},${name}=${name} -device ${name},drive=${name},bus=${name},${name}=1 ` +
          `-blockdev driver=${name},node-name=${name} -object ${name},id=${name} -M ${name} -set drive.${name}.${name}=1 -global ${name}.${name}=1 -${name}`,
      );
  });
});

describe('foreign texts that are none', () => {
  const bomb = `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">${Array.from(
    { length: 9 },
    (_, i) => `<!ENTITY ${'bcdefghij'[i]} "${`&${'abcdefghi'[i]};`.repeat(10)}">`,
  ).join('')}]><domain>&j;</domain>`;

  it.each([
    ['entities that explode', bomb],
    ['an external entity', '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain>&a;</domain>'],
    ['a megabyte of nesting', '<a>'.repeat(MEGABYTE / 3)],
    ['a megabyte of attributes', `<a ${'b="c" '.repeat(MEGABYTE / 6)}`],
    ['a megabyte of comment', `<!--${'-'.repeat(MEGABYTE)}`],
  ])('XML: %s', (_name, text) => {
    textForm(text);
    const { text: line, notes } = fromLibvirt(text);
    expect(line).toBe('');
    expect(notes[0].key).toMatch(/^convert\.xml\./);
  });

  it('XML: values that would be options stay values', () => {
    const { text } = fromLibvirt(
      "<disk type='file'><source file=\"a,readonly=on' -hdb $(reboot) `id`\"/><target dev='vda' bus='virtio'/></disk>",
    );
    const line = parseCommandLine(text);
    expect(line.variables).toEqual([]);
    expect(line.options.map((o) => o.name)).toEqual(['blockdev', 'device']);
    expect(line.options[0].params.find((p) => p.key === 'file.filename')?.value).toBe(
      "a,readonly=on' -hdb $(reboot) `id`",
    );
  });

  it.each([
    ['{"execute": "x"', '{'.repeat(MEGABYTE), '{\n'.repeat(MEGABYTE / 2), '"'.repeat(MEGABYTE)],
    ['[drive "d"]', '['.repeat(MEGABYTE), 'a = "'.repeat(MEGABYTE / 5)],
  ])('QMP and configuration files', (...texts) => {
    for (const text of texts) {
      textForm(text);
      fromQmp(text);
      fromConfig(text);
    }
  });

  it('printed errors', () => {
    const line = parseCommandLine(DRIVE);
    for (const text of ['x'.repeat(MEGABYTE), "Property '".repeat(100_000), '\u0000\n'.repeat(100_000)])
      explainError(text, line, context);
  });
});
