/** The MSI-X table and its pending bits, with what each vector was used for and how often (PCI 3.0, section 6.8.2). */
import type { DetailField, DetailPlace } from '#contract/lab-details.ts';
import { isMsiAddress } from '../../machine/interrupts.ts';
import { PBA_OFFSET, type Msix } from '../../machine/pci/msix.ts';
import { field, type Section } from './section.ts';

const ENTRY = 16;
const SOURCE = 'PCI 3.0, 6.8.2.7';

/** `bar`: the base address register that the table is in; `base`: where that is mapped. */
export function msixSection(
  msix: Msix,
  bar: { index: number; base: () => number | undefined },
  useOf: (vector: number) => string,
): Section {
  const place = (offset: number): DetailPlace => {
    const base = bar.base();
    return { space: 'bar', bar: bar.index, offset, address: base === undefined ? null : base + offset };
  };
  const entry = (vector: number): DetailField[] => {
    const at = vector * ENTRY;
    const address = msix.address(vector);
    const masked = msix.masked(vector);
    const pending = msix.pending(vector);
    const cpu = isMsiAddress(address) ? `CPU ${Math.floor(address / 0x1000) & 0xff}` : '';
    const row = { level: 1, source: SOURCE };
    return [
      field(`vector ${vector}`, 'msix.vector', msix.counts[vector], 0, {
        as: 'count',
        text: useOf(vector),
        source: SOURCE,
        place: { space: 'device' },
        tone: msix.counts[vector] > 0 ? 'on' : 'plain',
      }),
      field('Message Address', 'msix.address', address, 8, { ...row, place: place(at), text: cpu }),
      field('Message Data', 'msix.data', msix.data(vector), 4, {
        ...row,
        place: place(at + 8),
        text: cpu === '' ? '' : `vector 0x${(msix.data(vector) & 0xff).toString(16)}`,
      }),
      field('Vector Control: Mask', 'msix.mask', masked ? 1 : 0, 0, {
        ...row,
        as: 'count',
        place: place(at + 12),
        tone: masked ? 'on' : 'off',
      }),
      field('Pending Bit', 'msix.pending', pending ? 1 : 0, 0, {
        ...row,
        as: 'count',
        place: place(PBA_OFFSET + (vector >> 3)),
        tone: pending ? 'on' : 'off',
      }),
    ];
  };
  return {
    id: 'msix',
    key: 'msix',
    text: String(msix.vectors),
    fields: () => Array.from({ length: msix.vectors }, (_, vector) => entry(vector)).flat(),
  };
}
