/** START STOP UNIT (SBC-3 section 5.25): load and eject of removable media. */
import { good, refuse, type ScsiAnswer } from '../command.ts';
import type { Cdb } from '../cdb.ts';
import { SENSE } from '../sense.ts';
import type { DiskState } from './state.ts';

/** Opens or closes the tray when LOEJ asks for it; a locked tray stays shut. */
export function startStop(state: DiskState, cdb: Cdb): ScsiAnswer {
  const start = (cdb.bytes[4] & 1) !== 0;
  const loadEject = (cdb.bytes[4] & 2) !== 0;
  const powerCondition = cdb.bytes[4] >> 4;
  if (powerCondition !== 0 || !loadEject || !state.options.removable) {
    return good();
  }
  if (!start && !state.trayOpen && state.trayLocked) {
    return refuse(state.inserted ? SENSE.illegalRemovalPrevented : SENSE.notReadyRemovalPrevented);
  }
  state.moveTray(!start);
  return good();
}
