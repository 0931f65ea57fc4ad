/** Walks the whole tree of a format and notes what each node takes. */
import { run } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { COMPRESSED_HIGH } from '../formats/qcow2/constants.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { clusterKind, compressedPlace, hostOffset } from '../formats/qcow2/entry.ts';
import type { Qcow2State } from '../formats/qcow2/state.ts';
import type { JobPace } from '../jobs/job.ts';
import { treeOf } from './formats.ts';
import type { TreeNode } from './node.ts';
import type { OwnerRows } from './owners-rows.ts';
import { readInside } from './table.ts';

/** Entries that are looked at in all: a hostile image may name the same table a billion times. */
const MOST_ENTRIES = 1 << 25;

interface Walk {
  rows: OwnerRows;
  pace: JobPace;
  left: number;
  /** Offsets of the tables of snapshots that were read: most are shared. */
  seen: Set<number>;
  state: Qcow2State | undefined;
}

export async function collectMetadata(image: FormatNode, rows: OwnerRows, pace: JobPace): Promise<void> {
  const state = image.format instanceof Qcow2Driver ? image.format.state : undefined;
  const walk: Walk = { rows, pace, left: MOST_ENTRIES, seen: new Set(), state };
  const root = await run(treeOf(image.format));
  await children(walk, root, '');
}

async function children(walk: Walk, node: TreeNode, path: string): Promise<void> {
  const source = node.children;
  for (let index = 0; index < (source?.count ?? 0); index++) {
    if (walk.rows.full || walk.left-- <= 0) {
      walk.rows.cut = true;
      return;
    }
    if (index % 256 === 0) await walk.pace.step(0, 0);
    const there = source!.at(index);
    const child = there instanceof Promise ? await there : there;
    if (child === undefined) continue;
    const name = source!.nameOf(index);
    await visit(walk, child, path === '' ? name : `${path}/${name}`);
  }
}

async function visit(walk: Walk, node: TreeNode, path: string): Promise<void> {
  walk.rows.addNode(node.owner, node.offset, node.length, {
    path,
    label: node.label,
    params: node.params ?? {},
  });
  if (walk.state !== undefined && node.label === 'l2' && node.owner === 'snapshot') {
    await snapshotClusters(walk, walk.state, node);
  }
  await children(walk, node, path);
}

/** The clusters that a snapshot's L2 table points at; those of the live disk are claimed by it. */
async function snapshotClusters(walk: Walk, state: Qcow2State, table: TreeNode): Promise<void> {
  if (walk.seen.has(table.offset)) return;
  walk.seen.add(table.offset);
  const bytes = await run(readInside(state.storage, table.offset, table.length));
  const view = new DataView(bytes.buffer);
  const base = Number(table.params?.['guest'] ?? 0);
  for (let at = 0; at + state.l2EntryBytes <= bytes.length; at += state.l2EntryBytes) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    const kind = clusterKind(high, low);
    if (kind === 'unallocated' || kind === 'zero') continue;
    const guest = base + (at / state.l2EntryBytes) * state.clusterSize;
    if ((high & COMPRESSED_HIGH) !== 0) {
      const { offset, length } = compressedPlace(high, low, state.header.clusterBits);
      walk.rows.addData('snapshot-data', offset, length, guest);
    } else if (!state.externalData) {
      walk.rows.addData('snapshot-data', hostOffset(high, low), state.clusterSize, guest);
    }
  }
  await walk.pace.step(0, 0);
}
