/** `qemu-img check` of a VMDK (QEMU `vmdk_co_check`): every grain lies within its file. Unlike QEMU it does not stop at the first. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { CheckResult } from '../../format.ts';
import { Findings } from '../shared/findings.ts';
import type { PlacedExtent } from './driver.ts';
import { SparseExtent } from './sparse.ts';

/** The smallest entry of a grain table, bytes. */
const ENTRY_BYTES = 4;

export function* checkVmdk(extents: readonly PlacedExtent[]): Steps<CheckResult> {
  const findings = new Findings();
  for (const { extent } of extents) {
    if (extent instanceof SparseExtent) yield* checkExtent(extent, findings);
  }
  return findings.result;
}

function* checkExtent(extent: SparseExtent, findings: Findings): Steps<void> {
  const { result } = findings;
  const size = yield* wait(extent.storage.size());
  const grains = Math.ceil(extent.virtualSize / extent.clusterSize);
  const perTable = extent.layout.tableEntries;
  result.totalClusters += grains;
  let before = -1;
  // Tables lie apart from each other: there cannot be more of them than fit into the file, whatever a directory says.
  let tablesLeft = Math.ceil(size / (perTable * ENTRY_BYTES)) + 1;
  for (let index = 0; index < grains; index++) {
    if (index % perTable === 0 && (yield* isEmpty(extent, index / perTable))) {
      // A directory entry that is empty answers for all of its grains.
      index += perTable - 1;
      continue;
    }
    if (index % perTable === 0 && tablesLeft-- === 0) {
      findings.corruption(
        `the grain directory of "${extent.storage.name}" names more tables than fit into the file`,
      );
      return;
    }
    try {
      const { kind, hostOffset } = yield* wait(extent.lookup(index));
      if (hostOffset === undefined) continue;
      result.allocatedClusters++;
      if (kind === 'special') result.compressedClusters++;
      else if (before >= 0 && hostOffset !== before + extent.clusterSize) result.fragmentedClusters++;
      before = hostOffset;
      if (hostOffset >= size) {
        findings.corruption(
          `grain ${index} of "${extent.storage.name}" lies at ${hostOffset}, past the end of the file at ${size}`,
        );
      }
    } catch (error) {
      if (!(error instanceof PlatterError)) throw error;
      findings.corruption(error.message);
      // What is wrong with the table is wrong for all of its grains: one finding is enough, and time stays bounded.
      index += perTable - 1 - (index % perTable);
    }
  }
}

function* isEmpty(extent: SparseExtent, number: number): Steps<boolean> {
  if (number >= extent.directory.count) return true;
  if (extent.layout.kind === 'sesparse') return (yield* wait(extent.directory.getBig(number))) === 0n;
  return (yield* wait(extent.directory.get(number))) === 0;
}
