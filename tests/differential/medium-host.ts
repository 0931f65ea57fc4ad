/** The host's commands on a drive with a tray, for the drive of either machine, and what each answers. */
import type { RemovableDrive } from '#engine/block/medium.ts';
import {
  changeMedium,
  closeTray,
  eject,
  insertMedium,
  openTray,
  removeMedium,
} from '#engine/block/medium.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { PlatterError } from '#engine/errors.ts';
import type { Qmp } from './qmp.ts';

/** Every one that there is; `insert` and `change` take the number of a disc. */
export type MediumCommand =
  | { do: 'eject' | 'open'; force?: boolean }
  | { do: 'close' | 'remove' }
  | { do: 'insert'; disc: number }
  | { do: 'change'; disc: number; force?: boolean };

/** What was said and what was told: an error's words, and the places to which the tray moved. */
export type MediumHost = (command: MediumCommand) => Promise<string>;

/** Words of QEMU by the codes of Platter. */
const WORDS: readonly [RegExp, string][] = [
  [/is locked and force was not specified/, 'medium.locked'],
  [/^\S+ Tray of .*device.* is not open/, 'medium.tray-shut'],
  [/There already is a medium/, 'medium.there-already'],
];

export interface QemuDisc {
  filename: string;
  /** A node of the command line with the same content. */
  node: string;
}

/** `device` is the id of the device. */
export function qemuMedium(qmp: Qmp, device: string, discs: readonly QemuDisc[]): MediumHost {
  return async (command) => {
    const id = { id: device };
    const force = 'force' in command ? { force: command.force } : {};
    let said = 'done';
    try {
      switch (command.do) {
        case 'eject':
          await qmp.ask('eject', { ...id, ...force });
          break;
        case 'open':
          await qmp.ask('blockdev-open-tray', { ...id, ...force });
          break;
        case 'close':
          await qmp.ask('blockdev-close-tray', id);
          break;
        case 'remove':
          await qmp.ask('blockdev-remove-medium', id);
          break;
        case 'insert':
          await qmp.ask('blockdev-insert-medium', { ...id, 'node-name': discs[command.disc].node });
          break;
        case 'change':
          await qmp.ask('blockdev-change-medium', {
            ...id,
            ...force,
            filename: discs[command.disc].filename,
            format: 'raw',
            'read-only-mode': 'read-only',
          });
      }
    } catch (error) {
      const text = (error as Error).message;
      said = WORDS.find(([words]) => words.test(text))?.[1] ?? text;
    }
    return said;
  };
}

/** What QEMU told of the tray since the last call. */
export const qemuTray = (qmp: Qmp): string =>
  qmp
    .takeEvents()
    .filter(({ name }) => name === 'DEVICE_TRAY_MOVED')
    .map(({ data }) => (data['tray-open'] === true ? 'open' : 'closed'))
    .join(' ');

export function platterMedium(drive: RemovableDrive, discs: readonly BlockNode[]): MediumHost {
  const run = (command: MediumCommand): void => {
    switch (command.do) {
      case 'eject':
        return eject(drive, command.force);
      case 'open':
        openTray(drive, command.force);
        return;
      case 'close':
        return closeTray(drive);
      case 'remove':
        return removeMedium(drive);
      case 'insert':
        return insertMedium(drive, discs[command.disc]);
      default:
        return changeMedium(drive, discs[command.disc], command.force);
    }
  };
  return async (command) => {
    try {
      run(command);
      return 'done';
    } catch (error) {
      if (error instanceof PlatterError) return error.code;
      throw error;
    }
  };
}
