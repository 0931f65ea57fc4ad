/**
 * Keeping persistent bitmaps true while the disk is written (specification, "Bitmaps extension"): before the first write the
 * enabled ones are marked as in use; every write sets their bits; closing stores them. A program that dies in between leaves
 * them marked, and nobody takes them for true.
 */
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import { AUTOCLEAR } from '../constants.ts';
import { clearAutoclear } from '../header-update.ts';
import type { Qcow2State } from '../state.ts';
import { bitmapClusters, loadBits, markBits, storeBits } from './contents.ts';
import { bitmapFlags, type BitmapRecord } from './directory.ts';
import { replaceBitmaps } from './store.ts';

interface Tracked {
  record: BitmapRecord;
  bits: Uint8Array;
}

export class BitmapTracker {
  readonly #state: Qcow2State;
  #begun = false;
  #tracked: Tracked[] = [];

  constructor(state: Qcow2State) {
    this.#state = state;
  }

  /** The first write is prepared. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Writes must come by here, none may overwrite data behind the driver's back. */
  get tracking(): boolean {
    return this.#tracked.length > 0;
  }

  /** To be called before each change of guest bytes: once it prepares the image, and it records the range. */
  *note(offset: number, length: number): Steps<void> {
    if (!this.#begun) yield* this.#begin();
    for (const { record, bits } of this.#tracked) markBits(bits, record.granularityBits, offset, length);
  }

  *#begin(): Steps<void> {
    const state = this.#state;
    // Bitmaps whose directory cannot be read are not kept up to date.
    if (state.bitmaps === undefined) yield* clearAutoclear(state, AUTOCLEAR.dataFileRaw);
    let marked = false;
    for (const record of state.bitmaps ?? []) {
      if (!record.auto || record.inUse) continue;
      const bits = yield* this.#load(record);
      if (bits !== undefined) this.#tracked.push({ record, bits });
      record.inUse = true;
      yield* writeFlags(state, record);
      marked = true;
    }
    if (marked) yield* wait(state.storage.flush());
    this.#begun = true;
  }

  /** Undefined when it cannot be kept: it then stays marked. */
  *#load(record: BitmapRecord): Steps<Uint8Array | undefined> {
    try {
      return yield* loadBits(this.#state, record);
    } catch (error) {
      if (error instanceof PlatterError) return undefined;
      throw error;
    }
  }

  /** Stores what was recorded and takes the marks off; the next write begins anew. */
  *finish(): Steps<void> {
    const state = this.#state;
    this.#begun = false;
    const tracked = this.#tracked;
    this.#tracked = [];
    if (tracked.length === 0) return;
    const freed: [number, number][] = [];
    for (const { record, bits } of tracked) {
      freed.push(...(yield* bitmapClusters(state, record)));
      yield* storeBits(state, record, bits);
      record.inUse = false;
    }
    yield* replaceBitmaps(state, state.bitmaps ?? [], freed);
  }
}

/** Four bytes in place. */
export function* writeFlags(state: Qcow2State, record: BitmapRecord): Steps<void> {
  const flags = new Uint8Array(4);
  new DataView(flags.buffer).setUint32(0, bitmapFlags(record));
  yield* wait(state.storage.write(record.offset + 12, flags));
}
