/** The key slots of an encrypted image, out of what qemu-img tells of it. */
import type { ImageInfo } from '#contract/images.ts';

export interface KeySlot {
  slot: number;
  active: boolean;
  /** Rounds of the key derivation; LUKS2 slots name the derivation instead. */
  iterations?: number;
  derivation?: string;
}

const SLOT = /^(?:encrypt\.)?slots\.(\d+)\.(\w+)$/;

/** Whether a fact of `formatSpecific` is told by the table of slots. */
export const isSlotFact = (name: string): boolean => /^(?:encrypt\.)?slots\./.test(name);

export function keySlots({ formatSpecific }: ImageInfo): KeySlot[] {
  const slots = new Map<number, KeySlot>();
  for (const [name, value] of Object.entries(formatSpecific)) {
    const [, number, fact] = SLOT.exec(name) ?? [];
    if (number === undefined) continue;
    const slot = slots.get(Number(number)) ?? { slot: Number(number), active: false };
    slots.set(slot.slot, slot);
    if (fact === 'active') slot.active = value === true;
    else if (fact === 'iters') slot.iterations = Number(value);
    else if (fact === 'kdf') Object.assign(slot, { active: true, derivation: String(value) });
  }
  return [...slots.values()].toSorted((one, other) => one.slot - other.slot);
}
