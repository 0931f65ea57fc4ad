/** L1 and L2 tables: where the guest's clusters lie. */
import type { StructureLink } from '../../../../contract/structure.ts';
import { run, type Steps } from '../../../maybe.ts';
import { TABLE_ENTRY } from '../../formats/qcow2/constants.ts';
import { clusterKind, compressedPlace, hostOffset, isCopied } from '../../formats/qcow2/entry.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, hex, readInside, type ShownEntry } from '../table.ts';

export interface L1Place {
  /** Of the node in the tree. */
  path: string;
  offset: number;
  count: number;
  /** The disk as it is now, not a snapshot's. */
  active: boolean;
}

export function l1Node(state: Qcow2State, place: L1Place): TreeNode | undefined {
  if (place.count === 0) return undefined;
  return {
    label: place.active ? 'l1' : 'snapshot-l1',
    owner: place.active ? 'mapping' : 'snapshot',
    offset: place.offset,
    length: place.count * TABLE_ENTRY,
    fields: entries({
      storage: state.storage,
      offset: place.offset,
      count: place.count,
      entryBytes: TABLE_ENTRY,
      show: (view, index) => showL1(state, place, view, index),
    }),
    children: indexed(place.count, (index) => run(l2Node(state, place, index))),
  };
}

function showL1(state: Qcow2State, place: L1Place, view: DataView, index: number): ShownEntry {
  const value = hex(view.getBigUint64(0));
  const offset = hostOffset(view.getUint32(0), view.getUint32(4));
  const guest = index * state.l2Coverage;
  if (offset === 0) return { value, say: { key: 'l1-empty', params: { guest } } };
  if (offset % state.clusterSize !== 0) return { value, say: { key: 'misaligned', params: { offset } } };
  const key = isCopied(view.getUint32(0)) ? 'l1-own' : 'l1-shared';
  return {
    value,
    say: { key, params: { offset, guest } },
    links: [
      { to: 'node', path: `${place.path}/${index}` },
      { to: 'host', offset },
    ],
  };
}

/** The L2 table of an entry, or undefined where there is none. */
function* l2Node(state: Qcow2State, place: L1Place, index: number): Steps<TreeNode | undefined> {
  const entry = place.active
    ? state.l1.subarray(index * TABLE_ENTRY, (index + 1) * TABLE_ENTRY)
    : yield* readInside(state.storage, place.offset + index * TABLE_ENTRY, TABLE_ENTRY);
  if (entry.length < TABLE_ENTRY) return undefined;
  const view = new DataView(entry.buffer, entry.byteOffset);
  const offset = hostOffset(view.getUint32(0), view.getUint32(4));
  if (offset === 0 || offset % state.clusterSize !== 0) return undefined;
  const base = index * state.l2Coverage;
  return {
    label: 'l2',
    params: { index, guest: base },
    owner: place.active ? 'mapping' : 'snapshot',
    offset,
    length: state.clusterSize,
    fields: entries({
      storage: state.storage,
      offset,
      count: state.l2Entries,
      entryBytes: state.l2EntryBytes,
      show: (entry, at) => showL2(state, entry, base + at * state.clusterSize, place.active),
    }),
  };
}

function showL2(state: Qcow2State, view: DataView, guest: number, active: boolean): ShownEntry {
  const high = view.getUint32(0);
  const low = view.getUint32(4);
  const kind = clusterKind(high, low, state.externalData);
  let value = hex(view.getBigUint64(0));
  if (state.extendedL2) value += ` · ${hex(view.getBigUint64(8))}`;
  const links: StructureLink[] = [];
  if (active && guest < state.virtualSize) links.push({ to: 'guest', offset: guest });
  if (kind === 'compressed') {
    const { offset, length } = compressedPlace(high, low, state.header.clusterBits);
    links.push({ to: 'host', offset });
    return { value, say: { key: 'l2-compressed', params: { guest, offset, bytes: length } }, links };
  }
  const offset = hostOffset(high, low);
  if ((kind === 'normal' || kind === 'zero-allocated') && !state.externalData) {
    links.push({ to: 'host', offset });
  }
  return { value, say: { key: `l2-${kind}`, params: { guest, offset } }, links };
}
