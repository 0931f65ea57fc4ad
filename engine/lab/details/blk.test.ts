/** What no option of a command line offers stands in the Device view as well, for whoever builds a device that has it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BLK_CONFIG } from '../../virtio/blk/config.ts';
import { F } from '../../virtio/features.ts';
import { openRig } from '../../virtio/testing/rig.ts';
import { blkConfigSection } from './blk.ts';
import { mmioRegisters } from './registers.ts';

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

it('size_max and secure erase: every field of the configuration, with texts in both languages', () => {
  const properties = { sizeMax: 65536, secureErase: true, maxSecureEraseSectors: 4096 };
  const { device } = openRig({ properties, features: [F.BLK_SIZE_MAX, F.BLK_SECURE_ERASE] });
  const fields = blkConfigSection(device, mmioRegisters(0xfeb0_0000, 2)).fields();
  expect(fields.map(({ name }) => name)).toEqual(Object.keys(BLK_CONFIG).map(snake));
  const shown = new Map(fields.map((field) => [field.name, field]));
  expect(shown.get('size_max')).toMatchObject({ value: 65536, tone: 'plain' });
  expect(shown.get('max_secure_erase_sectors')).toMatchObject({ value: 4096, tone: 'plain' });
  expect(shown.get('secure_erase_sector_alignment')).toMatchObject({ value: 1, tone: 'plain' });
  // Offered and not taken.
  expect(shown.get('max_discard_sectors')?.tone).toBe('off');
  for (const locale of ['en', 'zh-CN']) {
    const file = `resources/messages/${locale}/lab-details.json`;
    const texts = JSON.parse(readFileSync(file, 'utf8')) as object;
    expect(fields.filter(({ meaning }) => !(meaning in texts))).toEqual([]);
  }
});
