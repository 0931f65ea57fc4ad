/** The snapshot table: a record for each internal snapshot, with its own L1 table. */
import type { StructureField } from '../../../../contract/structure.ts';
import { run, type Steps } from '../../../maybe.ts';
import type { SnapshotRecord } from '../../formats/qcow2/snapshots.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { indexed, named, type TreeNode } from '../node.ts';
import { readInside } from '../table.ts';
import { l1Node } from './qcow2-mapping.ts';

export function snapshotsNode(state: Qcow2State): TreeNode | undefined {
  const { snapshots, header } = state;
  if (snapshots.length === 0) return undefined;
  const last = snapshots[snapshots.length - 1];
  return {
    label: 'snapshots',
    owner: 'snapshot',
    offset: header.snapshotsOffset,
    length: last.offset + last.length - header.snapshotsOffset,
    children: indexed(snapshots.length, (index) => snapshotNode(state, snapshots[index], index)),
  };
}

function snapshotNode(state: Qcow2State, record: SnapshotRecord, index: number): TreeNode {
  return {
    label: 'snapshot',
    params: { id: record.id, name: record.name },
    owner: 'snapshot',
    offset: record.offset,
    length: record.length,
    fields: {
      count: names(record).length,
      page: (start, limit) => run(recordFields(state, record, index, start, limit)),
    },
    children: named({
      l1: l1Node(state, {
        path: `snapshots/${index}/l1`,
        offset: record.l1TableOffset,
        count: record.l1Size,
        active: false,
      }),
    }),
  };
}

/** Fields in file order: name and bytes; 0 bytes for those whose length stands in the record (specification, "Snapshots"). */
const FIXED: readonly [name: string, length: number][] = [
  ['l1_table_offset', 8],
  ['l1_size', 4],
  ['id_str_size', 2],
  ['name_size', 2],
  ['date_sec', 4],
  ['date_nsec', 4],
  ['vm_clock_nsec', 8],
  ['vm_state_size', 4],
  ['extra_data_size', 4],
];
const EXTRA: readonly [name: string, length: number][] = [
  ['vm_state_size_large', 8],
  ['disk_size', 8],
  ['icount', 8],
];

function names(record: SnapshotRecord): (readonly [name: string, length: number])[] {
  const extra: (readonly [string, number])[] = [];
  let left = record.extra.length;
  for (const field of EXTRA) {
    if (left < field[1]) break;
    extra.push(field);
    left -= field[1];
  }
  if (left > 0) extra.push(['unknown extra data', left]);
  return [...FIXED, ...extra, ['id_str', 0], ['name', 0]];
}

function* recordFields(
  state: Qcow2State,
  record: SnapshotRecord,
  index: number,
  start: number,
  limit: number,
): Steps<StructureField[]> {
  const bytes = yield* readInside(state.storage, record.offset, record.length);
  const view = new DataView(bytes.buffer);
  const fields: StructureField[] = [];
  let at = 0;
  for (const [name, fixed] of names(record)) {
    const length = fixed > 0 ? fixed : view.getUint16(name === 'id_str' ? 12 : 14);
    fields.push({ name, offset: record.offset + at, length, value: valueOf(view, name, at, length) });
    at += length;
  }
  fields[0].links = [
    { to: 'node', path: `snapshots/${index}/l1` },
    { to: 'host', offset: record.l1TableOffset },
  ];
  return fields.slice(start, start + limit);
}

function valueOf(view: DataView, name: string, at: number, length: number): string {
  if (name === 'id_str' || name === 'name') {
    return new TextDecoder().decode(new Uint8Array(view.buffer, at, length));
  }
  if (length === 8) return String(view.getBigUint64(at));
  if (length === 4) return String(view.getUint32(at));
  return length === 2 ? String(view.getUint16(at)) : `${length} bytes`;
}
