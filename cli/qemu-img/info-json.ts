/** `qemu-img info --output=json` (QAPI: ImageInfo) out of what the engine tells about an image. */
import type { BitmapInfo, ImageInfo, SnapshotInfo } from '#contract/images.ts';
import { combinePath } from './path.ts';
import { nest } from './nest.ts';
import type { QemuObject, QemuValue } from './order.ts';

/** Formats whose QEMU driver tells neither its cluster size nor whether it was closed cleanly (no `bdrv_get_info`). */
const WITHOUT_DRIVER_INFO = new Set(['parallels', 'bochs', 'cloop', 'dmg']);

/**
 * One layer.
 * @param filename as it was named on the command line, or combined from the image above
 */
export function infoObject(info: ImageInfo, filename: string): QemuObject {
  const object: QemuObject = {
    filename,
    format: info.format,
    // QEMU counts in sectors: a raw file's last part of one is a whole one.
    'virtual-size': Math.ceil(info.virtualSize / 512) * 512,
  };
  if (info.actualSize !== undefined) object['actual-size'] = info.actualSize;
  if (info.encrypted) object.encrypted = true;
  if (!WITHOUT_DRIVER_INFO.has(info.format)) {
    if (info.clusterSize !== undefined) object['cluster-size'] = info.clusterSize;
    object['dirty-flag'] = info.dirty;
  }
  if (Object.keys(info.formatSpecific).length > 0) {
    const data = nest(specificOf(info, filename));
    if (info.bitmaps !== undefined) data.bitmaps = info.bitmaps.map(bitmapObject);
    object['format-specific'] = { type: info.format, data };
  }
  if (info.backingFilename !== undefined) {
    object['backing-filename'] = info.backingFilename;
    object['full-backing-filename'] = combinePath(filename, info.backingFilename);
    if (info.backingFormat !== undefined) object['backing-filename-format'] = info.backingFormat;
  }
  if (info.snapshots.length > 0) object.snapshots = info.snapshots.map(snapshotObject);
  return object;
}

/** Extents that are files of their own are named as the image that names them was. */
function specificOf(info: ImageInfo, filename: string): Record<string, QemuValue> {
  const extent = /^extents\.\d+\.filename$/;
  const named = Object.entries(info.formatSpecific).map(([name, value]): [string, QemuValue] => {
    if (!extent.test(name)) return [name, value];
    return [name, value === info.name ? filename : combinePath(filename, String(value))];
  });
  return Object.fromEntries(named);
}

/** The image and what it stands on, as far as it was opened: `--backing-chain`. */
export function chainObjects(info: ImageInfo, filename: string): QemuObject[] {
  const below = info.backing;
  const own = infoObject(info, filename);
  if (below === undefined || info.backingFilename === undefined) return [own];
  return [own, ...chainObjects(below, combinePath(filename, info.backingFilename))];
}

function snapshotObject(snapshot: SnapshotInfo): QemuObject {
  return {
    id: snapshot.id,
    name: snapshot.name,
    'vm-state-size': snapshot.vmStateSize,
    'date-sec': snapshot.dateSec,
    'date-nsec': snapshot.dateNsec,
    'vm-clock-sec': Math.floor(snapshot.vmClockNsec / 1e9),
    'vm-clock-nsec': snapshot.vmClockNsec % 1e9,
    ...(snapshot.icount === undefined ? {} : { icount: snapshot.icount }),
  };
}

function bitmapObject({ name, granularity, inUse, auto }: BitmapInfo): QemuObject {
  return { flags: [...(inUse ? ['in-use'] : []), ...(auto ? ['auto'] : [])], name, granularity };
}
