/** The extents of a VMDK, out of what qemu-img tells of it. */
import type { ImageInfo } from '#contract/images.ts';

export interface ImageExtent {
  index: number;
  file: string;
  /** `SPARSE`, `FLAT`, …; empty where the image is its only extent. */
  kind: string;
  /** Bytes. */
  virtualSize?: number;
  clusterSize?: number;
}

const EXTENT = /^extents\.(\d+)\.([a-z-]+)$/;

/** Whether a fact of `formatSpecific` is told by the table of extents. */
export const isExtentFact = (name: string): boolean => EXTENT.test(name);

export function imageExtents({ formatSpecific }: ImageInfo): ImageExtent[] {
  const extents = new Map<number, ImageExtent>();
  for (const [name, value] of Object.entries(formatSpecific)) {
    const [, number, fact] = EXTENT.exec(name) ?? [];
    if (number === undefined) continue;
    const index = Number(number);
    const extent = extents.get(index) ?? { index, file: '', kind: '' };
    extents.set(index, extent);
    if (fact === 'filename') extent.file = String(value);
    else if (fact === 'format') extent.kind = String(value);
    else if (fact === 'virtual-size') extent.virtualSize = Number(value);
    else if (fact === 'cluster-size') extent.clusterSize = Number(value);
  }
  return [...extents.values()].toSorted((one, other) => one.index - other.index);
}
