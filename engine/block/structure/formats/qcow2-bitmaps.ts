/** Persistent dirty bitmaps: the directory, each bitmap's table (specification, "Bitmaps extension"). */
import { run, type Steps } from '../../../maybe.ts';
import { TABLE_ENTRY } from '../../formats/qcow2/constants.ts';
import { hostOffset } from '../../formats/qcow2/entry.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { indexed, listed, named, type TreeNode } from '../node.ts';
import { entries, hex, readInside, type ShownEntry } from '../table.ts';

/** QEMU takes at most 65535 bitmaps; of a directory that claims to be larger the first MiB is shown. */
const MAX_BITMAPS = 65535;
const MAX_DIRECTORY = 1 << 20;
const FIXED = 24;

export function bitmapsNode(state: Qcow2State): TreeNode | undefined {
  const { bitmaps } = state.extensions;
  if (bitmaps === undefined || bitmaps.count === 0) return undefined;
  const { directoryOffset: offset, directorySize: length } = bitmaps;
  let directory: ReturnType<typeof readDirectory> | undefined;
  return {
    label: 'bitmaps',
    owner: 'bitmap',
    offset,
    length,
    children: indexed(Math.min(bitmaps.count, MAX_BITMAPS), (index) =>
      run(
        (function* (): Steps<TreeNode | undefined> {
          directory ??= readDirectory(
            yield* readInside(state.storage, offset, Math.min(length, MAX_DIRECTORY)),
          );
          const entry = directory[index];
          return entry && bitmapNode(state, entry, offset + entry.at, index);
        })(),
      ),
    ),
  };
}

interface DirectoryEntry {
  /** Byte in the directory. */
  at: number;
  view: DataView;
  name: string;
  /** Bytes of extra data before the name. */
  extra: number;
}

function readDirectory(bytes: Uint8Array): DirectoryEntry[] {
  const found: DirectoryEntry[] = [];
  const whole = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + FIXED <= bytes.length && found.length < MAX_BITMAPS;) {
    const nameLength = whole.getUint16(at + 18);
    const extra = whole.getUint32(at + 20);
    const end = at + FIXED + extra + nameLength;
    if (end > bytes.length) break;
    const name = new TextDecoder().decode(bytes.subarray(end - nameLength, end));
    found.push({ at, view: new DataView(bytes.buffer, bytes.byteOffset + at, end - at), name, extra });
    at = Math.ceil(end / 8) * 8;
  }
  return found;
}

function bitmapNode(state: Qcow2State, entry: DirectoryEntry, base: number, index: number): TreeNode {
  const { view, name, extra } = entry;
  const table = hostOffset(view.getUint32(0), view.getUint32(4));
  const count = view.getUint32(8);
  const nameLength = view.getUint16(18);
  return {
    label: 'bitmap',
    params: { name },
    owner: 'bitmap',
    offset: base,
    length: view.byteLength,
    fields: listed([
      {
        name: 'bitmap_table_offset',
        offset: base,
        length: 8,
        value: String(view.getBigUint64(0)),
        links: count > 0 ? [{ to: 'node', path: `bitmaps/${index}/table` }] : undefined,
      },
      { name: 'bitmap_table_size', offset: base + 8, length: 4, value: String(count) },
      { name: 'flags', offset: base + 12, length: 4, value: hex(view.getUint32(12)) },
      { name: 'type', offset: base + 16, length: 1, value: String(view.getUint8(16)) },
      { name: 'granularity_bits', offset: base + 17, length: 1, value: String(view.getUint8(17)) },
      { name: 'name_size', offset: base + 18, length: 2, value: String(nameLength) },
      { name: 'extra_data_size', offset: base + 20, length: 4, value: String(extra) },
      { name: 'name', offset: base + FIXED + extra, length: nameLength, value: name },
    ]),
    children: named({ table: count === 0 ? undefined : tableNode(state, table, count) }),
  };
}

function tableNode(state: Qcow2State, offset: number, count: number): TreeNode {
  return {
    label: 'bitmap-table',
    owner: 'bitmap',
    offset,
    length: count * TABLE_ENTRY,
    fields: entries({
      storage: state.storage,
      offset,
      count,
      entryBytes: TABLE_ENTRY,
      show: (view): ShownEntry => {
        const cluster = hostOffset(view.getUint32(0), view.getUint32(4));
        const value = hex(view.getBigUint64(0));
        if (cluster === 0) {
          return {
            value,
            say: { key: (view.getUint8(7) & 1) === 1 ? 'bits-ones' : 'bits-zeroes', params: {} },
          };
        }
        return {
          value,
          say: { key: 'bits-at', params: { offset: cluster } },
          links: [{ to: 'host', offset: cluster }],
        };
      },
    }),
    children: indexed(count, (index) => run(dataNode(state, offset, index))),
  };
}

/** A cluster of bits. */
function* dataNode(state: Qcow2State, table: number, index: number): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(state.storage, table + index * TABLE_ENTRY, TABLE_ENTRY);
  if (bytes.length < TABLE_ENTRY) return undefined;
  const view = new DataView(bytes.buffer);
  const offset = hostOffset(view.getUint32(0), view.getUint32(4));
  if (offset === 0) return undefined;
  return { label: 'bitmap-data', params: { index }, owner: 'bitmap', offset, length: state.clusterSize };
}
