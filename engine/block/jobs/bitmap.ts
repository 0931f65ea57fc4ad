/** `qemu-img bitmap`: persistent dirty bitmaps of a qcow2 image. Each call leaves the old list or the new one in the file. */
import { PlatterError } from '../../errors.ts';
import { run, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import {
  bitIsSet,
  bitmapBytes,
  bitmapClusters,
  loadBits,
  markBits,
  storeBits,
} from '../formats/qcow2/bitmaps/contents.ts';
import {
  MAX_BITMAP_NAME,
  MAX_BITMAPS,
  MAX_GRANULARITY_BITS,
  MIN_GRANULARITY_BITS,
  type BitmapRecord,
} from '../formats/qcow2/bitmaps/directory.ts';
import { replaceBitmaps } from '../formats/qcow2/bitmaps/store.ts';
import type { Qcow2State } from '../formats/qcow2/state.ts';
import { qcow2State } from './qcow2-state.ts';

export type BitmapAction =
  | { kind: 'add'; granularity?: number }
  | { kind: 'remove' | 'clear' | 'enable' | 'disable' }
  /** Sets what is set in a bitmap of `source` (default: the same image). */
  | { kind: 'merge'; from: string; source?: FormatNode };

/** Runs the actions one after the other. Throws `bitmap.*`; the actions before the one that failed are done. */
export async function changeBitmap(
  node: FormatNode,
  name: string,
  actions: readonly BitmapAction[],
): Promise<void> {
  const state = qcow2State(node, 'bitmaps');
  for (const action of actions) await node.alone(() => run(changeSteps(state, name, action)));
}

/** The bits of one bitmap, the lowest bit of byte 0 first; one bit stands for `granularity` bytes of the disk. */
export async function readBitmap(
  node: FormatNode,
  name: string,
): Promise<{ granularity: number; bits: Uint8Array }> {
  const state = qcow2State(node, 'bitmaps', false);
  const record = sound(find(state, name));
  const bits = await node.alone(() => run(loadBits(state, record)));
  return { granularity: 2 ** record.granularityBits, bits };
}

function* changeSteps(state: Qcow2State, name: string, action: BitmapAction): Steps<void> {
  // What was written so far is stored first, so that the list in the file is the whole truth.
  yield* state.tracker.finish();
  const records = [...(state.bitmaps ?? [])];
  const freed: [number, number][] = [];
  if (action.kind === 'add') {
    records.push(yield* newRecord(state, name, action.granularity));
  } else {
    const index = records.indexOf(find(state, name));
    const record = { ...records[index] };
    records[index] = record;
    if (action.kind !== 'remove') sound(record);
    switch (action.kind) {
      case 'remove':
        freed.push(...(yield* bitmapClusters(state, record)));
        records.splice(index, 1);
        break;
      case 'enable':
      case 'disable':
        record.auto = action.kind === 'enable';
        break;
      case 'clear':
        freed.push(...(yield* bitmapClusters(state, record)));
        yield* storeBits(
          state,
          record,
          new Uint8Array(bitmapBytes(state.virtualSize, record.granularityBits)),
        );
        break;
      case 'merge': {
        const bits = yield* loadBits(state, record);
        freed.push(...(yield* bitmapClusters(state, record)));
        yield* mergeInto(state, record, bits, action.from, action.source);
        yield* storeBits(state, record, bits);
      }
    }
  }
  yield* replaceBitmaps(state, records, freed);
}

function* newRecord(state: Qcow2State, name: string, granularity?: number): Steps<BitmapRecord> {
  // As QEMU: the cluster size, but no finer than 4 KiB and no coarser than 64 KiB.
  const bytes = granularity ?? Math.max(4096, Math.min(65536, state.clusterSize));
  const granularityBits = Math.log2(bytes);
  if (
    !Number.isInteger(granularityBits) ||
    granularityBits < MIN_GRANULARITY_BITS ||
    granularityBits > MAX_GRANULARITY_BITS
  ) {
    throw bad('bitmap.bad-granularity', state, `A bitmap's granularity cannot be ${bytes} bytes`, {
      value: String(bytes),
      expected: 'a power of two from 512 to 2147483648',
    });
  }
  const length = new TextEncoder().encode(name).length;
  if (length === 0 || length > MAX_BITMAP_NAME) {
    throw bad('bitmap.bad-name', state, `A bitmap's name cannot be ${length} bytes long`, {
      value: `${length} bytes`,
      expected: `1 to ${MAX_BITMAP_NAME} bytes`,
    });
  }
  if (state.header.version < 3) {
    throw bad(
      'bitmap.needs-v3',
      state,
      `"${state.image}" is a qcow2 image of version 2, which has no bitmaps`,
      {
        expected: 'compat=1.1',
      },
    );
  }
  const records = state.bitmaps ?? [];
  if (records.length >= MAX_BITMAPS) {
    throw bad('bitmap.too-many', state, `"${state.image}" has ${records.length} bitmaps already`, {
      expected: `at most ${MAX_BITMAPS}`,
    });
  }
  if (records.some((record) => record.name === name)) {
    throw bad('bitmap.exists', state, `There is a bitmap "${name}" in "${state.image}" already`, {
      value: name,
    });
  }
  const record: BitmapRecord = {
    name,
    inUse: false,
    auto: true,
    otherFlags: 0,
    granularityBits,
    tableOffset: 0,
    tableSize: 0,
    extra: new Uint8Array(0),
    offset: 0,
  };
  yield* storeBits(state, record, new Uint8Array(bitmapBytes(state.virtualSize, granularityBits)));
  return record;
}

function* mergeInto(
  state: Qcow2State,
  target: BitmapRecord,
  bits: Uint8Array,
  from: string,
  source?: FormatNode,
): Steps<void> {
  const other = source === undefined ? state : qcow2State(source, 'bitmaps', false);
  if (other.virtualSize !== state.virtualSize) {
    throw bad(
      'bitmap.sizes-differ',
      state,
      `The bitmap "${from}" belongs to a disk of ${other.virtualSize} bytes, "${target.name}" to one of ${state.virtualSize}`,
      { value: String(other.virtualSize), expected: String(state.virtualSize) },
    );
  }
  const record = sound(find(other, from));
  const more = yield* loadBits(other, record);
  const granule = 2 ** record.granularityBits;
  const count = Math.ceil(state.virtualSize / granule);
  for (let bit = 0; bit < count; bit++) {
    if (!bitIsSet(more, bit)) continue;
    const length = Math.min(granule, state.virtualSize - bit * granule);
    markBits(bits, target.granularityBits, bit * granule, length);
  }
}

function find(state: Qcow2State, name: string): BitmapRecord {
  const record = state.bitmaps?.find((candidate) => candidate.name === name);
  if (record !== undefined) return record;
  throw bad('bitmap.unknown', state, `There is no bitmap "${name}" in "${state.image}"`, {
    value: name,
    expected: state.bitmaps?.map((candidate) => candidate.name).join(', '),
  });
}

function sound(record: BitmapRecord): BitmapRecord {
  if (!record.inUse) return record;
  throw new PlatterError(
    'bitmap.inconsistent',
    `The bitmap "${record.name}" was not stored by its last writer: what it says cannot be trusted`,
    { field: 'bitmap', value: record.name, hint: 'Remove it and add a new one.' },
  );
}

function bad(
  code: string,
  state: Qcow2State,
  message: string,
  context: { value?: string; expected?: string },
): PlatterError {
  return new PlatterError(code, message, { image: state.image, field: 'bitmap', ...context });
}
