/** VHDX ([MS-VHDX]): identifier, both headers, both region tables, log, block table, metadata. */
import { PlatterError } from '../../../errors.ts';
import type { Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import {
  HEADER_BYTES,
  HEADER_OFFSETS,
  readHeaders,
  readRegions,
  REGION_TABLE_BYTES,
  REGION_TABLE_OFFSETS,
  regionEntry,
  regionTableHeader,
  vhdxHeader,
  type Regions,
} from '../../formats/vhdx/header.ts';
import { readMetadata } from '../../formats/vhdx/metadata.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { named, type TreeNode } from '../node.ts';
import { readInside } from '../table.ts';
import { batNode } from './vhdx-bat.ts';
import { logNode } from './vhdx-log.ts';
import { metadataNode } from './vhdx-metadata.ts';

export function* vhdxTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const section = yield* readHeaders(storage);
  const regions = yield* readRegions(storage, section.header);
  const metadata = yield* readMetadata(storage, regions.metadata);
  return {
    identifier: yield* identifier(storage),
    header1: yield* header(storage, 0, section.current),
    header2: yield* header(storage, 1, section.current),
    regions1: yield* regionTable(storage, 0, regions),
    regions2: yield* regionTable(storage, 1, regions),
    log: logNode(storage, section.header),
    bat: batNode(storage, regions.bat, metadata),
    metadata: yield* metadataNode(storage, regions.metadata, metadata),
  };
}

/** The creator is UTF-16 text of 512 bytes ([MS-VHDX] 2.2.1). */
function* identifier(storage: Storage): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, 0, 520);
  const creator = new TextDecoder('utf-16le').decode(bytes.subarray(8)).replace(/\0.*$/s, '');
  return headerNode(
    [
      { name: 'signature', offset: 0, length: 8, value: 'vhdxfile' },
      { name: 'creator', offset: 8, length: 512, value: creator },
    ],
    { label: 'identifier' },
  );
}

function* header(storage: Storage, which: 0 | 1, current: 0 | 1): Steps<TreeNode | undefined> {
  const offset = HEADER_OFFSETS[which];
  const bytes = yield* readInside(storage, offset, HEADER_BYTES);
  if (bytes.length < HEADER_BYTES) return undefined;
  const fields = tolerant(() => vhdxHeader.describe(vhdxHeader.parse(bytes, storage.name), offset));
  return headerNode(fields, {
    label: which === current ? 'vhdx-header-current' : 'vhdx-header',
    params: { index: which + 1 },
    length: HEADER_BYTES,
    links: { log_offset: [{ to: 'node', path: 'log' }] },
  });
}

function* regionTable(storage: Storage, copy: 0 | 1, regions: Regions): Steps<TreeNode | undefined> {
  const offset = REGION_TABLE_OFFSETS[copy];
  const bytes = yield* readInside(storage, offset, REGION_TABLE_BYTES);
  if (bytes.length < REGION_TABLE_BYTES) return undefined;
  const top = regionTableHeader.parse(bytes, storage.name);
  const fields = regionTableHeader.describe(top, offset);
  // A copy that nobody trusts may claim any count; the table has room for so many.
  const room = Math.floor((REGION_TABLE_BYTES - regionTableHeader.size) / regionEntry.size);
  const children: Record<string, TreeNode | undefined> = {};
  for (let index = 0; index < Math.min(top.entry_count, room); index++) {
    const at = regionTableHeader.size + index * regionEntry.size;
    const entry = tolerant(() =>
      regionEntry.describe(regionEntry.parse(bytes, storage.name, at), offset + at),
    );
    const place = new DataView(bytes.buffer).getBigUint64(at + 16, true);
    const path =
      Number(place) === regions.bat.offset
        ? 'bat'
        : Number(place) === regions.metadata.offset
          ? 'metadata'
          : undefined;
    children[index] = headerNode(entry, {
      label: 'region-entry',
      params: { index },
      links: { file_offset: path === undefined ? undefined : [{ to: 'node', path }] },
    });
  }
  const node = headerNode(fields, {
    label: 'region-table',
    params: { index: copy + 1 },
    length: REGION_TABLE_BYTES,
  });
  return node && { ...node, children: named(children) };
}

/** Fields of a structure that may hold anything: none where it cannot be read. */
function tolerant<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof PlatterError) return [];
    throw error;
  }
}
