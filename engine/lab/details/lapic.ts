/** The local APICs: which vectors arrived at each virtual CPU, and how far each is (Intel SDM volume 3, section 11.8.4). */
import type { DetailField } from '#contract/lab-details.ts';
import { LAPIC, LAPIC_BASE, type LocalApic } from '../../machine/local-apic.ts';
import { field, type Section } from './section.ts';

const SOURCE = 'Intel SDM 3, 11.8.4';
const REGISTERS = [
  { name: 'IRR', meaning: 'lapic.irr', of: (apic: LocalApic) => apic.irr, at: LAPIC.irr },
  { name: 'ISR', meaning: 'lapic.isr', of: (apic: LocalApic) => apic.isr, at: LAPIC.isr },
  { name: 'TMR', meaning: 'lapic.tmr', of: (apic: LocalApic) => apic.tmr, at: LAPIC.tmr },
] as const;

const hex = (vector: number): string => `0x${vector.toString(16).padStart(2, '0')}`;
const vectorsIn = (bits: Uint8Array): number[] => [...bits.keys()].filter((vector) => bits[vector] === 1);

function apicFields(apic: LocalApic, cpu: number): DetailField[] {
  const used = [...apic.counts.keys()].filter((vector) => apic.counts[vector] > 0);
  const row = { level: 1, source: SOURCE } as const;
  return [
    field(
      `CPU ${cpu}`,
      'lapic.cpu',
      used.reduce((sum, vector) => sum + apic.counts[vector], 0),
      0,
      {
        as: 'count',
        source: SOURCE,
        place: { space: 'device' },
      },
    ),
    ...REGISTERS.map(({ name, meaning, of, at }) => {
      const vectors = vectorsIn(of(apic));
      return field(name, meaning, vectors.length, 0, {
        ...row,
        as: 'count',
        text: vectors.map(hex).join(', '),
        place: { space: 'memory', address: LAPIC_BASE + at },
        tone: vectors.length > 0 ? 'on' : 'off',
      });
    }),
    ...used.map((vector) =>
      field(`vector ${hex(vector)}`, 'lapic.vector', apic.counts[vector], 0, {
        ...row,
        as: 'count',
        place: { space: 'memory', address: LAPIC_BASE + LAPIC.irr + (vector >> 5) * 16 },
      }),
    ),
  ];
}

/** None before the first interrupt. */
export function lapicSections(controllers: readonly LocalApic[]): Section[] {
  const heard = [...controllers.entries()].filter(([, { counts }]) => counts.some((count) => count > 0));
  if (heard.length === 0) return [];
  const fields = (): DetailField[] => heard.flatMap(([cpu, apic]) => apicFields(apic, cpu));
  return [{ id: 'lapic', key: 'lapic', text: String(heard.length), fields }];
}
