/** The disks of the present line, which of them the next run is to work on, and what the programs do there. */
import { computed, shallowRef, type ComputedRef, type ShallowRef, type WritableComputedRef } from 'vue';
import type { LineDiskInfo } from '#contract/lab.ts';
import { MOST_DISKS, type Workload } from '#contract/settings.ts';
import { platter } from '../lib/platter.ts';
import type { useMachineStore } from './machine.ts';

export const DEFAULT_WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 8,
  numberIos: 400,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 1,
  fsync: 0,
};

export interface LineDisks {
  disks: ShallowRef<LineDiskInfo[]>;
  /** The drives of the disks that the next run is to work on: those chosen that are still there, or else the first one. */
  chosen: ComputedRef<string[]>;
  isBound: (drive: string | null) => boolean;
  /** Takes a disk into the next run, or out of it; one is always left. */
  choose: (drive: string, on: boolean) => void;
  /** Asks for the disks of the line as it is now; what an older line had does not count any more. */
  findDisks: () => Promise<void>;
}

export function useLineDisks(
  machine: ReturnType<typeof useMachineStore>,
  workload: WritableComputedRef<Workload>,
): LineDisks {
  const disks = shallowRef<LineDiskInfo[]>([]);
  const isBound = (drive: string | null): boolean =>
    machine.bindings.some((binding) => binding.driveId === drive);
  const chosen = computed<string[]>(() => {
    const there = disks.value.flatMap(({ drive, error: why }) =>
      drive === null || why !== null ? [] : [drive],
    );
    const wanted = (workload.value.disks ?? []).filter((drive) => there.includes(drive) && isBound(drive));
    return wanted.length > 0 ? wanted : there.slice(0, 1);
  });
  function choose(drive: string, on: boolean): void {
    const order = disks.value.map((entry) => entry.drive);
    const set = new Set(chosen.value);
    if (on) set.add(drive);
    else set.delete(drive);
    const next = order.filter((name): name is string => name !== null && set.has(name)).slice(0, MOST_DISKS);
    if (next.length > 0) workload.value = { ...workload.value, disks: next };
  }
  async function findDisks(): Promise<void> {
    const { text } = machine;
    const found = await platter.call('lab.disks', text, machine.configs).catch((): LineDiskInfo[] => []);
    if (machine.text === text) disks.value = found;
  }
  return { disks, chosen, isBound, choose, findDisks };
}
