/** Every field of every header that the overview lists has plain words, in both languages. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bochsHeader1, bochsHeader2 } from '#engine/block/formats/bochs/header.ts';
import { cloopHeader } from '#engine/block/formats/cloop/header.ts';
import { kolyTrailer } from '#engine/block/formats/dmg/header.ts';
import { luks1Header, luks1Slot } from '#engine/block/formats/luks/header1.ts';
import { luks2Header } from '#engine/block/formats/luks/header2.ts';
import { parallelsHeader } from '#engine/block/formats/parallels/header.ts';
import { qcowHeader } from '#engine/block/formats/qcow/header.ts';
import { qedHeader } from '#engine/block/formats/qed/header.ts';
import { vdiHeader } from '#engine/block/formats/vdi/header.ts';
import { vhdxHeader } from '#engine/block/formats/vhdx/header.ts';
import { cowdHeader, sesparseHeader, vmdk4Header } from '#engine/block/formats/vmdk/header.ts';
import { vhdDynamicHeader, vhdFooter } from '#engine/block/formats/vpc/header.ts';

const names = (layout: { fields: object }, prefix = ''): string[] =>
  Object.keys(layout.fields).map((name) => prefix + name);
const FIELDS: Record<string, string[]> = {
  bochs: [...names(bochsHeader1), ...names(bochsHeader2)],
  cloop: names(cloopHeader),
  dmg: names(kolyTrailer),
  luks: [...names(luks1Header), ...names(luks1Slot, 'slots.'), ...names(luks2Header)],
  parallels: names(parallelsHeader),
  qcow: names(qcowHeader),
  qed: names(qedHeader),
  vdi: names(vdiHeader),
  vhdx: names(vhdxHeader).filter((name) => name !== 'reserved'),
  vmdk: [...names(vmdk4Header), ...names(cowdHeader), ...names(sesparseHeader)],
  vpc: [...names(vhdFooter), ...names(vhdDynamicHeader)],
};

describe.each(['en', 'zh-CN'])('in %s', (locale) => {
  const words = JSON.parse(readFileSync(`resources/messages/${locale}/images.json`, 'utf8')) as object;
  it.each(Object.entries(FIELDS))('the header fields of %s are explained', (format, fields) => {
    expect(fields.filter((name) => !Object.hasOwn(words, `field.${format}.${name}`))).toEqual([]);
  });
});
