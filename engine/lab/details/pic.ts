/** The two 8259A: what they would do with the lines that rose (Intel 8259A data sheet). */
import type { DetailField } from '#contract/lab-details.ts';
import { PIC_PORT, type Pic } from '../../machine/pic.ts';
import { field, type Section } from './section.ts';

const SOURCE = 'Intel 8259A';

/** None while none of their lines has risen. */
export function picSections(pic: Pic): Section[] {
  const risen = (): number[] => [...pic.edges.keys()].filter((line) => pic.edges[line] > 0);
  if (risen().length === 0) return [];
  const chips = [
    { name: 'first', chip: pic.first, port: PIC_PORT.first, elcr: PIC_PORT.firstElcr },
    { name: 'second', chip: pic.second, port: PIC_PORT.second, elcr: PIC_PORT.secondElcr },
  ] as const;
  const fields = (): DetailField[] => [
    ...risen().map((line) =>
      field(`IRQ ${line}`, 'pic.line', pic.edges[line], 0, {
        as: 'count',
        source: SOURCE,
        place: { space: 'device' },
        tone: 'on',
      }),
    ),
    ...chips.flatMap(({ name, chip, port, elcr }) => [
      field(`IRR (${name})`, 'pic.irr', chip.irr, 1, { source: SOURCE, place: { space: 'port', port } }),
      field(`ISR (${name})`, 'pic.isr', chip.isr, 1, { source: SOURCE, place: { space: 'port', port } }),
      field(`IMR (${name})`, 'pic.imr', chip.imr, 1, {
        source: SOURCE,
        place: { space: 'port', port: port + 1 },
      }),
      field(`ELCR (${name})`, 'pic.elcr', chip.elcr, 1, {
        source: SOURCE,
        place: { space: 'port', port: elcr },
      }),
    ]),
  ];
  return [{ id: 'pic', key: 'pic', text: String(risen().length), fields }];
}
