/** The partition table of a disk as the overview shows it: asked for once for each opening, and its names. */
import { shallowRef, watchEffect, type ShallowRef } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import type { Partition, PartitionTable } from '#contract/partitions.ts';
import { has, t } from '../../../i18n/index.ts';
import { asPlainError, platter } from '../../../lib/platter.ts';
import { openKey } from '../view.ts';

export interface FoundPartitions {
  table: ShallowRef<PartitionTable | null>;
  error: ShallowRef<PlainError | null>;
}

/** Reads it again whenever the image has been opened again. A locked disk has no table that could be read. */
export function usePartitions(image: () => { handle: ImageHandle; info: ImageInfo }): FoundPartitions {
  const table = shallowRef<PartitionTable | null>(null);
  const error = shallowRef<PlainError | null>(null);
  let asked = '';
  watchEffect(() => {
    const { handle, info } = image();
    const key = openKey(handle, info);
    if (key === asked) return;
    asked = key;
    table.value = null;
    error.value = null;
    // A disk whose backing file is not open shows holes where the table may be.
    if (info.locked === true || (info.backingFilename !== undefined && info.backing === undefined)) return;
    platter.call('images.partitions', handle).then(
      (found) => {
        if (asked === key) table.value = found;
      },
      (reason: unknown) => {
        if (asked === key) error.value = asPlainError(reason);
      },
    );
  });
  return { table, error };
}

/** `Linux filesystem`; the bare type where the catalogue does not know it. */
export function partitionType(label: PartitionTable['label'], part: Partition): string {
  const key = `partitions.${label}.${part.type.toLowerCase()}`;
  return has(key) ? t(key) : part.type;
}
