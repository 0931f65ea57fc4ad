/** The CD-ROM drive as its host sees it (hw/ide/core.c, `ide_cd_block_ops`). */
import type { RemovableDrive } from '../../block/medium.ts';
import type { BlockNode } from '../../block/node.ts';
import { SECTOR } from '../ata.ts';
import type { IdeDrive } from '../drive.ts';

export function removableDrive(drive: IdeDrive): RemovableDrive {
  return {
    get medium(): BlockNode | undefined {
      return drive.node;
    },
    get trayOpen(): boolean {
      return drive.trayOpen;
    },
    get trayLocked(): boolean {
      return drive.trayLocked;
    },
    setMedium: (medium) => void (drive.node = medium),
    // The next command is told that the medium is gone, the one after it that there is another (`ide_cd_change_cb`).
    changeMedia: (load) => {
      drive.moveTray(!load);
      drive.sectors = Math.floor((drive.node?.virtualSize ?? 0) / SECTOR);
      drive.changed = 1;
      drive.newMedia = true;
      drive.ejectRequested = false;
      drive.bus.raiseIrq();
    },
    ejectRequest: (force) => {
      drive.ejectRequested = true;
      if (force) drive.trayLocked = false;
      drive.bus.raiseIrq();
    },
  };
}
