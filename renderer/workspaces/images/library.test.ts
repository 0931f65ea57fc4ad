import { expect, it } from 'vitest';
import type { AttachedImage, ImageInfo } from '#contract/images.ts';
import { matches, ordered } from './library.ts';

const image = (name: string, virtualSize?: number): AttachedImage => ({
  handle: name,
  name,
  where: '~/vm/Web',
  process: 'running',
  opening: 1,
  ...(virtualSize === undefined ? {} : { info: { format: 'qcow2', virtualSize } as ImageInfo }),
});

it('filters by every word, in name, folder, format and state', () => {
  const disk = image('Disk-01.img', 1);
  for (const filter of ['', '  ', 'disk', 'DISK web', 'qcow2 01', 'clean'])
    expect(matches(disk, filter, 'clean')).toBe(true);
  for (const filter of ['disk02', 'disk mail', 'vmdk']) expect(matches(disk, filter, 'clean')).toBe(false);
});

it('orders names as people count, and sizes from the largest down', () => {
  const images = [image('disk-10', 5), image('disk-2'), image('Disk-1', 9)];
  const names = (order: Parameters<typeof ordered>[1]) => ordered(images, order).map(({ name }) => name);
  expect(names('name')).toEqual(['Disk-1', 'disk-2', 'disk-10']);
  expect(names('virtual')).toEqual(['Disk-1', 'disk-10', 'disk-2']);
  expect(names('attached')).toEqual(['disk-10', 'disk-2', 'Disk-1']);
});
