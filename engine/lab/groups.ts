/** Which disks are built together: those of one controller; and in which order, so that slots are given as QEMU gives them. */
import { PlatterError } from '../errors.ts';
import { builtBy, buildsAs } from './disks.ts';
import { machineKind } from './machines/index.ts';
import type { MachineKind, WantedDisk } from './machines/kind.ts';

export interface Group {
  kind: MachineKind;
  disks: WantedDisk[];
  /** How many on virtio-mmio transports come before it. */
  nth: number;
}

/** The machine's own controllers first, then in the order of the command line. Throws `lab.not-drivable`. */
export function groupsOf(disks: readonly WantedDisk[]): Group[] {
  const byOption = new Map<number, WantedDisk[]>();
  for (const disk of disks) {
    const option = builtBy(disk.wanted);
    byOption.set(option, [...(byOption.get(option) ?? []), disk]);
  }
  const ordered = [...byOption].toSorted(([a], [b]) => a - b).map(([, together]) => together);
  let onMmio = 0;
  return ordered.map((together) => {
    const [{ wanted }] = together;
    const kind = machineKind(buildsAs(wanted));
    if (kind === undefined) throw new PlatterError('lab.not-drivable', `the lab cannot run ${wanted.label}`);
    const nth = onMmio;
    if (kind.mmio === true) onMmio++;
    return { kind, disks: together, nth };
  });
}
