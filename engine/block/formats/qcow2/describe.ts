/** What `info` tells of a qcow2 image: `format-specific` as qemu-img, and every header field with its place. */
import type { FormatDescription, HeaderField } from '../../format.ts';
import {
  AUTOCLEAR,
  COMPRESSION_NAMES,
  CRYPT_NAMES,
  EXTENSION,
  INCOMPATIBLE,
  LAZY_REFCOUNTS,
} from './constants.ts';
import { hasDataFile, hasExtendedL2 } from './header.ts';
import type { Qcow2State } from './state.ts';

export function describe(state: Qcow2State): FormatDescription {
  const { header, extensions } = state;
  return {
    dirty: (header.incompatible & INCOMPATIBLE.dirty) !== 0n,
    encrypted: header.cryptMethod !== 0,
    locked: state.encryption !== undefined && state.encryption.cipher === undefined,
    backingFilename: state.backingName,
    backingFormat: extensions.backingFormat,
    backingError: state.backingError,
    snapshots: state.snapshots.map(({ id, name, vmStateSize, dateSec, dateNsec, vmClockNsec, extra }) => ({
      id,
      name,
      vmStateSize,
      dateSec,
      dateNsec,
      vmClockNsec,
      icount: icountOf(extra),
    })),
    bitmaps: state.bitmaps?.map(({ name, inUse, auto, granularityBits }) => ({
      name,
      granularity: 2 ** granularityBits,
      inUse,
      auto,
    })),
    formatSpecific: formatSpecific(state),
    header: headerFields(state),
  };
}

/** QEMU: qcow2_get_specific_info. */
function formatSpecific(state: Qcow2State): Record<string, string | number | boolean> {
  const { header, extensions } = state;
  const specific: Record<string, string | number | boolean> = {
    compat: header.version === 2 ? '0.10' : '1.1',
    'compression-type': COMPRESSION_NAMES[header.compressionType],
    'refcount-bits': 1 << header.refcountOrder,
  };
  const encrypt = state.encryption?.description.formatSpecific;
  if (encrypt !== undefined) {
    specific['encrypt.format'] = 'luks';
    for (const [name, value] of Object.entries(encrypt)) specific[`encrypt.${name}`] = value;
  }
  if (header.version < 3) return specific;
  specific['lazy-refcounts'] = (header.compatible & LAZY_REFCOUNTS) !== 0n;
  specific.corrupt = (header.incompatible & INCOMPATIBLE.corrupt) !== 0n;
  specific['extended-l2'] = hasExtendedL2(header);
  if (hasDataFile(header)) {
    if (extensions.dataFile !== undefined) specific['data-file'] = extensions.dataFile;
    specific['data-file-raw'] = (header.autoclear & AUTOCLEAR.dataFileRaw) !== 0n;
  }
  return specific;
}

function headerFields(state: Qcow2State): HeaderField[] {
  const { header, extensions } = state;
  const fields: HeaderField[] = [];
  const add = (offset: number, length: number, name: string, value: string | number): void => {
    fields.push({ name, offset, length, value: String(value) });
  };
  add(0, 4, 'magic', 'QFI\\xfb');
  add(4, 4, 'version', header.version);
  add(8, 8, 'backing_file_offset', header.backingFileOffset);
  add(16, 4, 'backing_file_size', header.backingFileSize);
  add(20, 4, 'cluster_bits', header.clusterBits);
  add(24, 8, 'size', header.size);
  add(32, 4, 'crypt_method', `${header.cryptMethod} (${CRYPT_NAMES[header.cryptMethod] ?? 'unknown'})`);
  add(36, 4, 'l1_size', header.l1Size);
  add(40, 8, 'l1_table_offset', header.l1TableOffset);
  add(48, 8, 'refcount_table_offset', header.refcountTableOffset);
  add(56, 4, 'refcount_table_clusters', header.refcountTableClusters);
  add(60, 4, 'nb_snapshots', header.snapshotCount);
  add(64, 8, 'snapshots_offset', header.snapshotsOffset);
  if (header.version >= 3) {
    add(72, 8, 'incompatible_features', flags(header.incompatible, INCOMPATIBLE));
    add(80, 8, 'compatible_features', flags(header.compatible, { lazyRefcounts: LAZY_REFCOUNTS }));
    add(88, 8, 'autoclear_features', flags(header.autoclear, AUTOCLEAR));
    add(96, 4, 'refcount_order', header.refcountOrder);
    add(100, 4, 'header_length', header.headerLength);
    if (header.headerLength > 104) {
      add(
        104,
        1,
        'compression_type',
        `${header.compressionType} (${COMPRESSION_NAMES[header.compressionType]})`,
      );
    }
  }
  for (const extension of extensions.all) {
    add(
      extension.offset,
      8 + extension.data.length,
      `extension ${extensionName(extension.type)}`,
      extensionValue(state, extension.type, extension.data.length),
    );
  }
  if (state.backingName !== undefined) {
    add(header.backingFileOffset, header.backingFileSize, 'backing_file_name', state.backingName);
  }
  return fields;
}

function extensionName(type: number): string {
  const known = Object.entries(EXTENSION).find(([, value]) => value === type);
  return known === undefined ? `0x${type.toString(16)}` : known[0];
}

function extensionValue(state: Qcow2State, type: number, length: number): string {
  const { extensions } = state;
  if (type === EXTENSION.backingFormat) return extensions.backingFormat ?? '';
  if (type === EXTENSION.dataFile) return extensions.dataFile ?? '';
  if (type === EXTENSION.bitmaps) return String(extensions.bitmaps?.count ?? 0);
  return `${length} bytes`;
}

/** `0x5 (dirty, data-file)`: the number, and the names of the bits that are set. */
function flags(value: bigint, names: Record<string, bigint>): string {
  const set = Object.entries(names)
    .filter(([, bit]) => (value & bit) !== 0n)
    .map(([name]) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
  const number = `0x${value.toString(16)}`;
  return set.length === 0 ? number : `${number} (${set.join(', ')})`;
}

/** Bytes 16 to 23 of a snapshot's extra data (specification, "Snapshots"); all ones: the instruction count is not known. */
function icountOf(extra: Uint8Array): number | undefined {
  if (extra.length < 24) return undefined;
  const count = new DataView(extra.buffer, extra.byteOffset).getBigUint64(16);
  return count === 0xffff_ffff_ffff_ffffn ? undefined : Number(count);
}
