/** The I/O APIC's redirection table: the lines that are in use, where each goes and how often (Intel 82093AA, section 3.2.4). */
import type { DetailField, DetailPlace } from '#contract/lab-details.ts';
import { IOAPIC_BASE, IOAPIC_PINS, IOAPIC_REGISTER, REDIRECTION, type IoApic } from '../../machine/ioapic.ts';
import { field, type Section } from './section.ts';

const SOURCE = 'Intel 82093AA, 3.2.4';

/** None while no line is in use: a device with messages needs no I/O APIC. */
export function ioapicSections(ioapic: IoApic): Section[] {
  const used = (): number[] =>
    Array.from({ length: IOAPIC_PINS }, (_, pin) => pin).filter(
      (pin) => (ioapic.entry(pin).low & REDIRECTION.masked) === 0 || ioapic.edges[pin] > 0,
    );
  const entry = (pin: number): DetailField[] => {
    const { low, high } = ioapic.entry(pin);
    const level = (low & REDIRECTION.level) !== 0;
    const register = IOAPIC_REGISTER.table + pin * 2;
    const window: DetailPlace = { space: 'memory', address: IOAPIC_BASE + 0x10 };
    const row = { level: 1, source: SOURCE, place: window };
    const bit = (mask: number): { as: 'count'; tone: 'on' | 'off' } => ({
      as: 'count',
      tone: (low & mask) === 0 ? 'off' : 'on',
    });
    return [
      field(`pin ${pin}`, 'ioapic.pin', ioapic.messages[pin], 0, {
        as: 'count',
        text: `${ioapic.level(pin) ? 'high' : 'low'}, ↑ ${ioapic.edges[pin]}`,
        source: SOURCE,
        place: { space: 'device' },
        tone: ioapic.messages[pin] > 0 ? 'on' : 'plain',
      }),
      field(`IOREDTBL${pin}`, 'ioapic.entry', low, 4, {
        ...row,
        text: `register 0x${register.toString(16)}`,
      }),
      field('Interrupt Vector', 'ioapic.vector', low & REDIRECTION.vector, 1, row),
      field('Destination', 'ioapic.destination', high >>> 24, 1, { ...row, text: `CPU ${high >>> 24}` }),
      field('Trigger Mode', 'ioapic.trigger', level ? 1 : 0, 0, {
        ...row,
        ...bit(REDIRECTION.level),
        text: level ? 'level' : 'edge',
      }),
      field('Remote IRR', 'ioapic.remote-irr', (low & REDIRECTION.remoteIrr) === 0 ? 0 : 1, 0, {
        ...row,
        ...bit(REDIRECTION.remoteIrr),
      }),
      field('Interrupt Mask', 'ioapic.mask', (low & REDIRECTION.masked) === 0 ? 0 : 1, 0, {
        ...row,
        ...bit(REDIRECTION.masked),
      }),
    ];
  };
  const pins = used();
  if (pins.length === 0) return [];
  const fields = (): DetailField[] => used().flatMap((pin) => entry(pin));
  return [{ id: 'ioapic', key: 'ioapic', text: String(pins.length), fields }];
}
