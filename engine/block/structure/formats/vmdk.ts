/** VMDK: the descriptor's lines, the sparse header, grain directories and grain tables of the opened file. */
import { run, wait, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { readSparseHeader, VMDK4_MAGIC, COWD_MAGIC, type SparseLayout } from '../../formats/vmdk/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, readInside } from '../table.ts';
import { directoryEntry, showGrain } from './vmdk-entries.ts';

export function* vmdkTree(format: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const { storage } = format;
  const { header } = yield* wait(format.describe());
  const head = yield* readInside(storage, 0, 4);
  const magic = String.fromCharCode(...head);
  if (magic !== VMDK4_MAGIC && magic !== COWD_MAGIC) return { descriptor: lines(header) };
  const layout = yield* readSparseHeader(storage, true);
  const tables = layout.capacity > 0;
  return {
    header: headerNode(layout.fields, {
      links: {
        gd_offset: [{ to: 'node', path: 'directory' }],
        l1dir_offset: [{ to: 'node', path: 'directory' }],
        rgd_offset: layout.backupDirectory === 0 ? undefined : [{ to: 'node', path: 'backup' }],
        desc_offset: [{ to: 'node', path: 'descriptor' }],
      },
    }),
    descriptor: lines(header.slice(layout.fields.length)),
    directory: tables ? directory(storage, layout, 'directory', layout.directory) : undefined,
    backup:
      tables && layout.backupDirectory > 0
        ? directory(storage, layout, 'backup', layout.backupDirectory)
        : undefined,
  };
}

function lines(fields: Parameters<typeof headerNode>[0]): TreeNode | undefined {
  return headerNode(fields, { label: 'descriptor' });
}

function directory(storage: Storage, layout: SparseLayout, path: string, offset: number): TreeNode {
  const covered = layout.grain * layout.tableEntries;
  const count = Math.ceil(layout.capacity / covered);
  return {
    label: path === 'backup' ? 'grain-directory-backup' : 'grain-directory',
    owner: 'mapping',
    offset,
    length: count * 4,
    fields: entries({
      storage,
      offset,
      count,
      entryBytes: 4,
      show: (view, index) => directoryEntry(view.getUint32(0, true), index * covered, `${path}/${index}`),
    }),
    children: indexed(count, (index) => run(tableNode(storage, layout, offset, index))),
  };
}

function* tableNode(
  storage: Storage,
  layout: SparseLayout,
  directoryOffset: number,
  index: number,
): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, directoryOffset + index * 4, 4);
  if (bytes.length < 4) return undefined;
  const sector = new DataView(bytes.buffer).getUint32(0, true);
  if (sector === 0) return undefined;
  const covered = layout.grain * layout.tableEntries;
  const base = index * covered;
  const left = Math.ceil((layout.capacity - base) / layout.grain);
  return {
    label: 'grain-table',
    params: { index, guest: base },
    owner: 'mapping',
    offset: sector * 512,
    length: layout.tableEntries * 4,
    fields: entries({
      storage,
      offset: sector * 512,
      count: Math.min(layout.tableEntries, left),
      entryBytes: 4,
      show: (view, at) => showGrain(view.getUint32(0, true), base + at * layout.grain, layout),
    }),
  };
}
