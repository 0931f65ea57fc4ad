/** What the person does at the host's side of the lab's disk that is looked at. */
import { defineStore } from 'pinia';
import { computed } from 'vue';
import type { ImageHandle } from '#contract/images.ts';
import type { Fault, TrayMove } from '#contract/lab-host.ts';
import { platter } from '../lib/platter.ts';
import { useLabStore } from './lab.ts';

export const useLabHostStore = defineStore('lab-host', () => {
  const lab = useLabStore();
  const disk = computed(() => lab.frame?.disks[lab.disk] ?? lab.frame?.disks[0]);
  const fault = computed(() => disk.value?.fault ?? null);
  const tray = computed(() => disk.value?.tray ?? null);

  /** Makes the next requests fail; without a machine that can run, one is built for it. Null: nothing is to fail any more. */
  const setFault = (next: Fault | null) =>
    lab.guarded(async () => {
      await platter.call('lab.fault', await lab.current(), next, lab.disk);
    });
  /** `force`: also while the guest holds it locked. */
  const moveTray = (move: TrayMove, force: boolean) =>
    lab.guarded(async () => {
      if (lab.status) await platter.call('lab.moveTray', lab.status.id, move, force, lab.disk);
    });
  const insert = (image: ImageHandle, force: boolean) =>
    lab.guarded(async () => {
      if (lab.status) await platter.call('lab.insert', lab.status.id, image, force, lab.disk);
    });

  return { fault, tray, setFault, moveTray, insert };
});
