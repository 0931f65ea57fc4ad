import { afterAll, expect, it } from 'vitest';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { sizeText } from './size.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const sectors = (bytes: number): number => Math.floor(bytes / 512) * 512;
const around = (unit: number): number[] => [
  unit,
  unit * 1.5,
  unit + 512,
  sectors(unit * 9.995),
  sectors(unit * 12.345),
];
const SIZES = [
  0,
  512,
  1536,
  999 * 1024,
  1000 * 1024,
  1023 * 1024,
  448.5 * 1024,
  449.5 * 1024,
  1.125 * 2 ** 20,
  99.5 * 1024,
  2 ** 20 - 512,
  sectors(2 ** 30 * 999.5),
  ...[2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40].flatMap(around),
];

it.each(SIZES)('writes %d bytes as qemu-img does', (size) => {
  qemuImg(folder, 'create', '-q', '-f', 'raw', 'size.raw', String(size));
  const text = /^virtual size: (.*) \(/m.exec(qemuImg(folder, 'info', '-f', 'raw', 'size.raw'))?.[1];
  expect(sizeText(sectors(size + 511))).toBe(text);
});
