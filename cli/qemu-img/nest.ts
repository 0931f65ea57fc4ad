/** `format-specific` as QEMU nests it, out of the engine's flat names: `slots.0.active`, `encrypt.uuid`. */
import type { QemuObject, QemuValue } from './order.ts';

/** A part of a name that is a number is a place in a list. */
export function nest(flat: Readonly<Record<string, QemuValue>>): QemuObject {
  const root: QemuObject = {};
  for (const [name, value] of Object.entries(flat)) {
    let holder: QemuObject | QemuValue[] = root;
    const parts = name.split('.');
    parts.forEach((part, index) => {
      const last = index === parts.length - 1;
      const empty = (): QemuValue => (/^\d+$/.test(parts[index + 1]) ? [] : {});
      const inner: QemuValue = last ? value : (member(holder, part) ?? empty());
      if (Array.isArray(holder)) holder[Number(part)] = inner;
      else holder[part] = inner;
      if (typeof inner === 'object') holder = inner;
    });
  }
  return root;
}

function member(holder: QemuObject | QemuValue[], part: string): QemuValue | undefined {
  return Array.isArray(holder) ? holder[Number(part)] : holder[part];
}
