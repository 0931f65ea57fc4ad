/**
 * Devices that somebody else than QEMU serves, as models. Their disks are not on the command line: the host's SCSI target or another
 * process has them. The laboratory puts an attached image in their place.
 */
import { PlatterError } from '../errors.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { param } from './properties.ts';

const VHOST = /^vhost-(scsi|user-blk)(-pci|$)/;

/** Whether the laboratory runs it as a model. */
export function isVhost(driver: string): boolean {
  return VHOST.test(driver);
}

/** The host's kernel serves it, not a process. */
export function isVhostScsi(driver: string): boolean {
  return driver.startsWith('vhost-scsi');
}

/**
 * The drive that plays the back end's disk: the next `-drive if=none` or `-blockdev` that nothing on the line uses (`free` counts how
 * many are gone), else one that goes by the name of the back end itself (`chardev=`, `wwpn=`). Throws `lab.no-back-end` when the device names none, as QEMU does.
 */
export function vhostDrive(line: CommandLine, option: Option, free: { count: number }): string {
  const driver = param(option, 'driver') ?? '';
  const key = isVhostScsi(driver) ? 'wwpn' : 'chardev';
  const name = param(option, key);
  if (name === undefined) {
    throw new PlatterError('lab.no-back-end', `${driver} has no ${key}=, which says who serves it`, {
      option: key,
      value: driver,
    });
  }
  return freeDrives(line)[free.count++] ?? name;
}

function freeDrives(line: CommandLine): string[] {
  // Whatever is the value of some key is used: drive=, file=, backing=, pflash0=, …
  const used = new Set(line.options.flatMap(({ params }) => params.filter(isUse).map(({ value }) => value)));
  return line.options.map(nameOf).filter((name): name is string => name !== undefined && !used.has(name));
}

const isUse = ({ key }: { key?: string }): boolean => key !== 'id' && key !== 'node-name';

/** The name by which a back end could be used. */
function nameOf(option: Option): string | undefined {
  if (option.name === 'blockdev') return param(option, 'node-name');
  return option.name === 'drive' && param(option, 'if') === 'none' ? param(option, 'id') : undefined;
}
