/** The person's hand at the host's side of one disk: which of its requests fail, and what lies in its tray. */
import type { TrayMove, TrayView } from '#contract/lab-host.ts';
import { FaultNode, Faults } from '../block/filters/faults.ts';
import { changeMedium, closeTray, eject, openTray, type RemovableDrive } from '../block/medium.ts';
import type { BlockNode } from '../block/node.ts';
import { PlatterError } from '../errors.ts';

export class HostHand {
  readonly faults = new Faults();

  /** The node as the device is to have it. */
  under(node: BlockNode): BlockNode {
    return new FaultNode(node, this.faults);
  }

  /** Throws `lab.no-tray`, `medium.locked` when the guest forbids it; it was asked then. With `force` nobody is asked. */
  move(drive: RemovableDrive | undefined, move: TrayMove, force: boolean): void {
    const tray = trayOf(drive);
    if (move === 'eject') eject(tray, force);
    else if (move === 'open') openTray(tray, force);
    else closeTray(tray);
  }

  /** QMP's `blockdev-change-medium`: out with what lies in it, in with this node of `under`, and the tray closed. Throws as `move` does. */
  insert(drive: RemovableDrive | undefined, medium: BlockNode, force: boolean): void {
    changeMedium(trayOf(drive), medium, force);
  }
}

function trayOf(drive: RemovableDrive | undefined): RemovableDrive {
  if (drive !== undefined) return drive;
  throw new PlatterError('lab.no-tray', 'this disk has no medium that can be taken out');
}

export function trayView(drive: RemovableDrive | undefined): TrayView | null {
  if (drive === undefined) return null;
  const { trayOpen, trayLocked, medium } = drive;
  return { open: trayOpen, locked: trayLocked, medium: medium?.name ?? null };
}
