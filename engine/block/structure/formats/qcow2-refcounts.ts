/** The refcount table and its blocks: how often each cluster of the file is used. */
import { run, type Steps } from '../../../maybe.ts';
import { OFFSET_LOW, TABLE_ENTRY } from '../../formats/qcow2/constants.ts';
import { readRefcount } from '../../formats/qcow2/refcount-width.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, hex, readInside, type ShownEntry } from '../table.ts';

export function refcountTableNode(state: Qcow2State): TreeNode {
  const { refcountTableOffset: offset, refcountTableClusters } = state.header;
  const length = refcountTableClusters * state.clusterSize;
  const count = length / TABLE_ENTRY;
  const covered = countsPerBlock(state) * state.clusterSize;
  return {
    label: 'refcount-table',
    owner: 'refcount',
    offset,
    length,
    fields: entries({
      storage: state.storage,
      offset,
      count,
      entryBytes: TABLE_ENTRY,
      show: (view, index): ShownEntry => {
        const block = blockOffset(view);
        const value = hex(view.getBigUint64(0));
        const host = index * covered;
        if (block === 0) return { value, say: { key: 'refcount-empty', params: { host } } };
        if (!possible(state, block)) return { value, say: { key: 'misaligned', params: { offset: block } } };
        return {
          value,
          say: { key: 'refcount-block', params: { offset: block, host } },
          links: [
            { to: 'node', path: `refcounts/${index}` },
            { to: 'host', offset: block },
          ],
        };
      },
    }),
    children: indexed(count, (index) => run(blockNode(state, offset, index))),
  };
}

function blockOffset(view: DataView): number {
  return view.getUint32(0) * 2 ** 32 + ((view.getUint32(4) & OFFSET_LOW) >>> 0);
}

/** Bits 9 to 63 are the offset: a hostile entry may point past every file. */
function possible(state: Qcow2State, offset: number): boolean {
  return offset % state.clusterSize === 0 && Number.isSafeInteger(offset + state.clusterSize);
}

function countsPerBlock(state: Qcow2State): number {
  return (state.clusterSize * 8) / (1 << state.header.refcountOrder);
}

function* blockNode(state: Qcow2State, table: number, index: number): Steps<TreeNode | undefined> {
  const entry = yield* readInside(state.storage, table + index * TABLE_ENTRY, TABLE_ENTRY);
  if (entry.length < TABLE_ENTRY) return undefined;
  const offset = blockOffset(new DataView(entry.buffer));
  if (offset === 0 || !possible(state, offset)) return undefined;
  const order = state.header.refcountOrder;
  const count = countsPerBlock(state);
  const host = index * count * state.clusterSize;
  return {
    label: 'refcount-block',
    params: { index, host },
    owner: 'refcount',
    offset,
    length: state.clusterSize,
    fields: entries({
      storage: state.storage,
      offset,
      count,
      entryBytes: 2 ** order / 8,
      show: (view, at): ShownEntry => {
        const of = host + at * state.clusterSize;
        const count =
          order === 6 ? view.getBigUint64(0) : readRefcount(view, at % (order < 3 ? 8 >> order : 1), order);
        return {
          value: String(count),
          say: { key: Number(count) === 0 ? 'refcount-free' : 'refcount-used', params: { host: of } },
          links: [{ to: 'host', offset: of }],
        };
      },
    }),
  };
}
