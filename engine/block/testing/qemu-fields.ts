/** Our answers in qemu-img's JSON, for comparison field by field. */
import type { CheckResult, ImageInfo, MapExtent } from '../../../contract/images.ts';
import { qemuImg, type QemuCheck } from './qemu.ts';

export interface QemuInfo {
  'virtual-size': number;
  'cluster-size'?: number;
  format: string;
  'actual-size': number;
  'dirty-flag': boolean;
  'backing-filename'?: string;
  'backing-filename-format'?: string;
  snapshots?: {
    id: string;
    name: string;
    'vm-state-size': number;
    'date-sec': number;
    'date-nsec': number;
  }[];
  'format-specific'?: { data: Record<string, unknown> };
}

export function qemuInfo(path: string): QemuInfo {
  return JSON.parse(qemuImg('info', '--output=json', path)) as QemuInfo;
}

/** The same members, out of our information. */
export function asQemuInfo(info: ImageInfo): QemuInfo {
  const told: QemuInfo = {
    'virtual-size': info.virtualSize,
    format: info.format,
    'actual-size': info.actualSize ?? -1,
    'dirty-flag': info.dirty,
  };
  if (info.clusterSize !== undefined) told['cluster-size'] = info.clusterSize;
  if (info.backingFilename !== undefined) told['backing-filename'] = info.backingFilename;
  if (info.backingFormat !== undefined) told['backing-filename-format'] = info.backingFormat;
  if (Object.keys(info.formatSpecific).length > 0) told['format-specific'] = { data: info.formatSpecific };
  if (info.snapshots.length > 0) {
    told.snapshots = info.snapshots.map((one) => ({
      id: one.id,
      name: one.name,
      'vm-state-size': one.vmStateSize,
      'date-sec': one.dateSec,
      'date-nsec': one.dateNsec,
    }));
  }
  return told;
}

/** Only the members that `asQemuInfo` fills. */
export function comparableInfo(info: QemuInfo): QemuInfo {
  const told: QemuInfo = {
    'virtual-size': info['virtual-size'],
    format: info.format,
    'actual-size': info['actual-size'],
    'dirty-flag': info['dirty-flag'],
  };
  if (info['cluster-size'] !== undefined) told['cluster-size'] = info['cluster-size'];
  if (info['backing-filename'] !== undefined) told['backing-filename'] = info['backing-filename'];
  if (info['backing-filename-format'] !== undefined) {
    told['backing-filename-format'] = info['backing-filename-format'];
  }
  if (info['format-specific'] !== undefined) told['format-specific'] = { data: info['format-specific'].data };
  if (info.snapshots !== undefined) {
    told.snapshots = info.snapshots.map((one) => ({
      id: one.id,
      name: one.name,
      'vm-state-size': one['vm-state-size'],
      'date-sec': one['date-sec'],
      'date-nsec': one['date-nsec'],
    }));
  }
  return told;
}

export function qemuMap(path: string): Omit<MapExtent, 'compressed'>[] {
  return JSON.parse(qemuImg('map', '--output=json', path)) as Omit<MapExtent, 'compressed'>[];
}

/** QEMU 7.2's map has no `compressed`, and names files in its text alone. */
export function asQemuMap(extents: MapExtent[]): Omit<MapExtent, 'compressed'>[] {
  return extents.map(({ compressed: _compressed, file: _file, ...rest }) => rest);
}

/** qemu-img leaves out what is 0. */
export function asQemuCheck(result: CheckResult): QemuCheck {
  const told: QemuCheck = { 'check-errors': result.checkErrors };
  const put = (key: Exclude<keyof QemuCheck, 'check-errors'>, value: number): void => {
    if (value !== 0) told[key] = value;
  };
  put('image-end-offset', result.imageEndOffset);
  put('total-clusters', result.totalClusters);
  put('allocated-clusters', result.allocatedClusters);
  put('fragmented-clusters', result.fragmentedClusters);
  put('compressed-clusters', result.compressedClusters);
  put('corruptions', result.corruptions);
  put('leaks', result.leaks);
  return told;
}

export function comparableCheck(check: QemuCheck & { filename?: string; format?: string }): QemuCheck {
  const { filename: _name, format: _format, ...rest } = check;
  return rest;
}
