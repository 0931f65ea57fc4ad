/** `qemu-img check` of a VMDK (QEMU `vmdk_co_check`): every grain lies within its file. Unlike QEMU it does not stop at the first. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { CheckResult } from '../../format.ts';
import { Findings } from '../shared/findings.ts';
import type { PlacedExtent } from './driver.ts';
import { SparseExtent } from './sparse.ts';

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
  for (let index = 0; index < grains; index++) {
    if (index % perTable === 0 && (yield* isEmpty(extent, index / perTable))) {
      // A directory entry that is empty answers for all of its grains.
      index += perTable - 1;
      continue;
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
    }
  }
}

function* isEmpty(extent: SparseExtent, number: number): Steps<boolean> {
  if (number >= extent.directory.count) return true;
  if (extent.layout.kind === 'sesparse') return (yield* wait(extent.directory.getBig(number))) === 0n;
  return (yield* wait(extent.directory.get(number))) === 0;
}
