/** Header extensions: typed, length-prefixed records between the header and the backing file's name (specification, "Header extensions"). */
import { StructReader } from '../../../bytes/reader.ts';
import { PlatterError } from '../../../errors.ts';
import { EXTENSION } from './constants.ts';
import type { Qcow2Header } from './header.ts';

export interface HeaderExtension {
  type: number;
  /** Byte of the record's type field in the file. */
  offset: number;
  data: Uint8Array;
}

export interface FeatureName {
  kind: 'incompatible' | 'compatible' | 'autoclear';
  bit: number;
  name: string;
}

export interface BitmapsExtension {
  count: number;
  directoryOffset: number;
  directorySize: number;
}

export interface Extensions {
  all: HeaderExtension[];
  backingFormat?: string;
  dataFile?: string;
  featureNames: FeatureName[];
  bitmaps?: BitmapsExtension;
  crypto?: { offset: number; length: number };
}

/** Reads them out of the first cluster. A length that leaves its place throws `qcow2.bad-extension`. */
export function parseExtensions(cluster: Uint8Array, header: Qcow2Header): Extensions {
  const reader = new StructReader(cluster, { structure: 'qcow2 header extensions' });
  const end =
    header.backingFileOffset === 0 ? cluster.length : Math.min(header.backingFileOffset, cluster.length);
  const found: Extensions = { all: [], featureNames: [] };
  let at = header.headerLength;
  // A record that is cut off by the backing file's name is read as well, as QEMU does: it is damaged unless it ends the list.
  while (at < end && at + 8 <= cluster.length) {
    const type = reader.u32(at, 'extension type');
    const length = reader.u32(at + 4, 'extension length');
    if (type === EXTENSION.end) break;
    const left = end - at - 8;
    if (length > left) {
      throw new PlatterError(
        'qcow2.bad-extension',
        `The header extension 0x${type.toString(16)} at byte ${at} claims ${length} bytes; only ${Math.max(0, left)} are left`,
        {
          field: 'header extension length',
          offset: at + 4,
          value: String(length),
          expected: `at most ${Math.max(0, left)}`,
        },
      );
    }
    const extension = { type, offset: at, data: reader.bytes(at + 8, length, 'extension data') };
    found.all.push(extension);
    interpret(extension, found);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return found;
}

function interpret(extension: HeaderExtension, found: Extensions): void {
  const reader = new StructReader(extension.data, {
    structure: 'header extension',
    base: extension.offset + 8,
  });
  switch (extension.type) {
    case EXTENSION.backingFormat:
      found.backingFormat = reader.cString(0, reader.length, 'backing format');
      break;
    case EXTENSION.dataFile:
      found.dataFile = reader.text(0, reader.length, 'external data file name');
      break;
    case EXTENSION.featureNames:
      found.featureNames = readFeatureNames(reader);
      break;
    case EXTENSION.bitmaps:
      found.bitmaps = {
        count: reader.u32(0, 'nb_bitmaps'),
        directorySize: reader.u64(8, 'bitmap_directory_size'),
        directoryOffset: reader.u64(16, 'bitmap_directory_offset'),
      };
      break;
    case EXTENSION.cryptoHeader:
      found.crypto = {
        offset: reader.u64(0, 'full disk encryption header offset'),
        length: reader.u64(8, 'full disk encryption header length'),
      };
      break;
    default:
    // Unknown extensions are kept and ignored, as the specification demands.
  }
}

const KINDS = ['incompatible', 'compatible', 'autoclear'] as const;
const FEATURE_NAME_RECORD = 48;

function readFeatureNames(reader: StructReader): FeatureName[] {
  const names: FeatureName[] = [];
  // The last record may be cut short: QEMU takes what is missing for zeroes.
  for (let at = 0; at + 2 < reader.length; at += FEATURE_NAME_RECORD) {
    const kind = KINDS[reader.u8(at, 'feature type')];
    if (kind === undefined) continue;
    names.push({
      kind,
      bit: reader.u8(at + 1, 'feature bit'),
      name: reader.cString(at + 2, Math.min(46, reader.length - at - 2), 'feature name'),
    });
  }
  return names;
}
