/** `qemu-img check` of a VDI (QEMU `vdi_co_check`): every block used once, and as many as the header says. */
import { wait, type Steps } from '../../../maybe.ts';
import type { CheckResult } from '../../format.ts';
import { Findings, UsedBlocks } from '../shared/findings.ts';
import type { PagedTable } from '../shared/table.ts';
import { VDI_DISCARDED, type VdiHeader } from './header.ts';

export function* checkVdi(header: VdiHeader, blocks: PagedTable): Steps<CheckResult> {
  const findings = new Findings();
  const used = new UsedBlocks();
  let allocated = 0;
  for (let index = 0; index < blocks.count; index++) {
    const block = yield* wait(blocks.get(index));
    if (block >= VDI_DISCARDED) continue;
    if (block >= header.blocks_in_image) {
      findings.corruption(
        `block ${index} lies at block number ${block}, past the ${header.blocks_in_image} of the image`,
      );
      continue;
    }
    allocated++;
    if (!used.take(block))
      findings.corruption(`block number ${block} is used twice, again by block ${index}`);
  }
  if (allocated !== header.blocks_allocated) {
    findings.corruption(
      `${allocated} blocks are allocated, blocks_allocated says ${header.blocks_allocated}`,
    );
  }
  return findings.result;
}
