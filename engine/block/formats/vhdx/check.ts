/** `qemu-img check` of a VHDX (QEMU `vhdx_check_bat_entries`): present blocks lie within the file and outside the metadata. */
import { wait, type Steps } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import type { CheckResult } from '../../format.ts';
import { Findings } from '../shared/findings.ts';
import type { VhdxBlocks } from './blocks.ts';

/** `diskSize` in bytes. */
export function* checkVhdx(blocks: VhdxBlocks, diskSize: number): Steps<CheckResult> {
  const findings = new Findings();
  const count = Math.ceil(diskSize / blocks.blockSize);
  for (let index = 0; index < count; index++) {
    try {
      yield* wait(blocks.payload(index));
    } catch (error) {
      if (!(error instanceof PlatterError) || error.code !== 'vhdx.bad-block') throw error;
      findings.corruption(error.message);
    }
  }
  return findings.result;
}
