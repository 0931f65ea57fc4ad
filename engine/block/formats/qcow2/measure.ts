/** How large a qcow2 file gets (QEMU: qcow2_measure). */
import { TABLE_ENTRY } from './constants.ts';
import type { Qcow2Layout } from './create-options.ts';

/** Bytes of an image whose every cluster is allocated, tables included. `size`: whole clusters, bytes. */
export function fullyAllocated(layout: Qcow2Layout, size: number): number {
  const { clusterSize } = layout;
  const entry = layout.extendedL2 ? 16 : 8;
  const l2Tables = Math.ceil(size / clusterSize / (clusterSize / entry));
  const l1Bytes = Math.ceil((l2Tables * TABLE_ENTRY) / clusterSize) * clusterSize;
  const metadata = clusterSize + l2Tables * clusterSize + l1Bytes;
  const counted = (metadata + size) / clusterSize;
  return metadata + size + refcountClusters(layout, counted) * clusterSize;
}

/** Clusters of the refcount table and its blocks, which count themselves as well. */
function refcountClusters({ clusterSize, refcountBits }: Qcow2Layout, clusters: number): number {
  const perBlock = (clusterSize * 8) / refcountBits;
  const perTable = clusterSize / TABLE_ENTRY;
  let blocks = 0;
  let tables = 0;
  for (let before = -1; before !== blocks + tables;) {
    before = blocks + tables;
    blocks = Math.ceil((clusters + tables + blocks) / perBlock);
    tables = Math.ceil(blocks / perTable);
  }
  return blocks + tables;
}
