/** The qcow2 driver: versions 2 and 3, reading and writing (QEMU, docs/interop/qcow2.txt). */
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type {
  ClusterPacker,
  ExtentSlot,
  FormatDescription,
  FormatDescriptor,
  FormatDriver,
} from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import { readThrough, zeroThrough } from '../../read-through.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkImage } from './check.ts';
import { CompressedReader } from './compressed.ts';
import { MAGIC } from './constants.ts';
import { createQcow2 } from './create.ts';
import { describe } from './describe.ts';
import { locate } from './mapping.ts';
import { openState } from './open.ts';
import { qcow2Packer } from './packed-write.ts';
import { isPreallocated } from './preallocated.ts';
import type { Qcow2State } from './state.ts';
import { flushStorages } from './order.ts';
import { writeGuest } from './write.ts';
import { discardGuest, writeZeroesGuest } from './zero.ts';

export const qcow2: FormatDescriptor = {
  name: 'qcow2',
  probe: (head) => {
    if (head.length < 8) return 0;
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    return view.getUint32(0) === MAGIC && view.getUint32(4) >= 2 ? 100 : 0;
  },
  open: (storage, context) =>
    run(
      (function* (): Steps<FormatDriver> {
        return new Qcow2Driver(yield* openState(storage, context));
      })(),
    ),
  create: createQcow2,
};

export class Qcow2Driver implements FormatDriver {
  readonly format = 'qcow2';
  readonly state: Qcow2State;
  readonly #compressed: CompressedReader;
  #preallocated: Maybe<boolean> | undefined;

  constructor(state: Qcow2State) {
    this.state = state;
    this.#compressed = new CompressedReader(state);
    state.readGuest = (offset, target) => run(readThrough(this, state.image, offset, target));
    state.readsAsZero = (offset, length) => run(zeroThrough(this, offset, length));
  }

  get storage(): Storage {
    return this.state.storage;
  }

  get virtualSize(): number {
    return this.state.virtualSize;
  }

  get readOnly(): boolean {
    return this.state.readOnly;
  }

  get clusterSize(): number {
    return this.state.clusterSize;
  }

  get backing(): BlockNode | undefined {
    return this.state.backing;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    return locate(this.state, offset, length, out);
  }

  /** Only of an image with clusters that were handed out and never written. */
  holesAre(): Maybe<'zeroes' | undefined> {
    this.#preallocated ??= run(isPreallocated(this.state));
    return andThen(this.#preallocated, (is) => (is ? 'zeroes' : undefined));
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    return this.#compressed.read(offset, target);
  }

  readSpecialLater(offset: number, target: Uint8Array): Promise<void> {
    return this.#compressed.readLater(offset, target);
  }

  get packer(): ClusterPacker | undefined {
    return qcow2Packer(this.state);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(writeGuest(this.state, offset, source));
  }

  writeZeroes(offset: number, length: number, unmap: boolean): Maybe<void> {
    return run(writeZeroesGuest(this.state, offset, length, unmap));
  }

  discard(offset: number, length: number): Maybe<void> {
    return run(discardGuest(this.state, offset, length));
  }

  flush(): Maybe<void> {
    return run(this.#flush());
  }

  describe(): FormatDescription {
    return describe(this.state);
  }

  check(): ReturnType<NonNullable<FormatDriver['check']>> {
    return run(checkImage(this.state));
  }

  close(): Maybe<void> {
    return run(this.#close());
  }

  *#flush(): Steps<void> {
    if (this.readOnly || this.state.broken !== undefined) return;
    yield* wait(this.state.writeBack());
    yield* flushStorages(this.state);
  }

  *#close(): Steps<void> {
    try {
      if (!this.readOnly && this.state.broken === undefined) {
        yield* this.state.tracker.finish();
        yield* this.#padLastSector();
        yield* this.#flush();
      }
    } finally {
      yield* this.#closeStorages();
    }
  }

  /** Compressed data may end anywhere; other programs want whole sectors to read. */
  *#padLastSector(): Steps<void> {
    if (this.state.packedEnd === 0) return;
    const size = yield* wait(this.storage.size());
    if (size % 512 !== 0) yield* wait(this.storage.truncate(Math.ceil(size / 512) * 512));
  }

  *#closeStorages(): Steps<void> {
    try {
      if (this.state.externalData) yield* wait(this.state.dataStorage.close());
    } finally {
      yield* wait(this.state.storage.close());
    }
  }
}
