/** A VMDK: one extent or several in a row, and the descriptor that names them (QEMU `block/vmdk.c`). */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { PlatterError } from '../../../errors.ts';
import type {
  CheckResult,
  ClusterPacker,
  ExtentSlot,
  FormatDescription,
  FormatDriver,
} from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import { allocatedTogether } from '../shared/allocated.ts';
import { checkVmdk } from './check.ts';
import { describeDescriptor, withCid, type Descriptor } from './descriptor.ts';
import { FlatExtent } from './flat.ts';
import { SparseExtent, type Announcer } from './sparse.ts';
import { StreamExtent } from './stream.ts';

/** What the driver asks of an extent; offsets count from its own start, bytes. */
export interface VmdkExtent {
  readonly virtualSize: number;
  readonly storage: Storage;
  locate(offset: number, length: number, out: ExtentSlot): Maybe<void>;
  readSpecial?(offset: number, target: Uint8Array): Maybe<void>;
  write(offset: number, source: Uint8Array): Maybe<void>;
  writeZeroes(offset: number, length: number, unmap: boolean): Maybe<void>;
  discard(offset: number, length: number): Maybe<void>;
  flush(): Maybe<void>;
  close(): Maybe<void>;
}

export interface PlacedExtent {
  /** First byte on the guest's disk. */
  start: number;
  extent: VmdkExtent;
  /** As the descriptor has it; empty for the only extent of a file that describes itself. */
  type: string;
}

export interface VmdkParts {
  /** The file that was opened: the only extent, or the descriptor. */
  storage: Storage;
  descriptor: Descriptor;
  /** Where the descriptor lies in `storage`, bytes. */
  place: { offset: number; length: number };
  extents: PlacedExtent[];
  session: WriteSession;
  backing?: BlockNode;
  backingError?: PlatterError;
}

/** The content identifier: a child notices by it that its parent was written (specification, "CID"). */
export class WriteSession implements Announcer {
  announced = false;
  readonly #storage: Storage;
  readonly #place: { offset: number; length: number };
  #descriptor: Descriptor;

  constructor(storage: Storage, descriptor: Descriptor, place: { offset: number; length: number }) {
    this.#storage = storage;
    this.#descriptor = descriptor;
    this.#place = place;
  }

  get descriptor(): Descriptor {
    return this.#descriptor;
  }

  *announce(): Steps<void> {
    if (this.announced) return;
    const cid = globalThis.crypto.getRandomValues(new Uint32Array(1))[0] % 0xfffffffe;
    const text = withCid(this.#descriptor.text, cid);
    const bytes = new TextEncoder().encode(text);
    const embedded = this.#place.offset > 0;
    if (embedded) {
      const padded = new Uint8Array(this.#place.length);
      padded.set(bytes.subarray(0, padded.length));
      yield* wait(this.#storage.write(this.#place.offset, padded));
    } else {
      yield* wait(this.#storage.write(0, bytes));
      yield* wait(this.#storage.truncate(bytes.length));
    }
    this.#descriptor = { ...this.#descriptor, text, cid };
    this.announced = true;
  }
}

export class VmdkDriver implements FormatDriver {
  readonly format = 'vmdk';
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly clusterSize?: number;
  readonly backing?: BlockNode;
  readonly storage: Storage;
  readonly parts: VmdkParts;

  constructor(parts: VmdkParts, readOnly: boolean) {
    this.parts = parts;
    this.storage = parts.storage;
    this.backing = parts.backing;
    const last = parts.extents.at(-1);
    this.virtualSize = last === undefined ? 0 : last.start + last.extent.virtualSize;
    this.readOnly = readOnly;
    this.clusterSize = commonGrain(parts.extents);
  }

  get cid(): number {
    return this.parts.session.descriptor.cid;
  }

  holesAre(offset: number): 'zeroes' | undefined {
    return this.#at(offset).extent instanceof FlatExtent ? 'zeroes' : undefined;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const { start, extent } = this.#at(offset);
    return extent.locate(offset - start, Math.min(length, start + extent.virtualSize - offset), out);
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const { start, extent } = this.#at(offset);
    return extent.readSpecial?.(offset - start, target);
  }

  get packer(): ClusterPacker | undefined {
    const { extents } = this.parts;
    const only = extents.length === 1 ? extents[0].extent : undefined;
    return only instanceof StreamExtent && !this.readOnly ? only.packer : undefined;
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(
      this.#each(offset, source.length, (extent, at, from, length) =>
        extent.write(at, source.subarray(from, from + length)),
      ),
    );
  }

  writeZeroes(offset: number, length: number, unmap: boolean): Maybe<void> {
    return run(this.#each(offset, length, (extent, at, _from, part) => extent.writeZeroes(at, part, unmap)));
  }

  discard(offset: number, length: number): Maybe<void> {
    return run(this.#each(offset, length, (extent, at, _from, part) => extent.discard(at, part)));
  }

  flush(): Maybe<void> {
    return run(this.#flush());
  }

  describe(): FormatDescription {
    const { session, place, extents, backingError } = this.parts;
    const { descriptor } = session;
    const fields = describeDescriptor(descriptor, place.offset);
    const sparse = extents.find(
      ({ extent }) => extent instanceof SparseExtent && extent.storage === this.storage,
    );
    const header = sparse?.extent instanceof SparseExtent ? sparse.extent.layout.fields : [];
    const specific: Record<string, string | number | boolean> = {
      'create-type': descriptor.createType,
      cid: descriptor.cid,
      'parent-cid': descriptor.parentCid,
    };
    extents.forEach(({ extent, type }, index) => {
      const name = `extents.${index}.`;
      specific[`${name}filename`] = extent.storage.name;
      specific[`${name}format`] = type;
      specific[`${name}virtual-size`] = extent.virtualSize;
      if (!(extent instanceof SparseExtent)) return;
      specific[`${name}cluster-size`] = extent.clusterSize;
      if (extent.layout.compressed) specific[`${name}compressed`] = true;
    });
    return {
      header: [...header, ...fields],
      compressed: extents.some(({ extent }) => extent instanceof SparseExtent && extent.layout.compressed),
      backingFilename: descriptor.parentHint,
      backingFormat: descriptor.parentHint === undefined ? undefined : 'vmdk',
      backingError,
      formatSpecific: specific,
    };
  }

  allocatedSize(): Maybe<number | undefined> {
    const others = this.parts.extents.map(({ extent }) => extent.storage);
    return run(allocatedTogether([this.storage, ...others.filter((storage) => storage !== this.storage)]));
  }

  check(): Maybe<CheckResult> {
    return run(checkVmdk(this.parts.extents));
  }

  close(): Maybe<void> {
    return run(this.#close());
  }

  #at(offset: number): PlacedExtent {
    const { extents } = this.parts;
    let low = 0;
    let high = extents.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (extents[middle].start <= offset) low = middle;
      else high = middle - 1;
    }
    return extents[low];
  }

  *#each(
    offset: number,
    length: number,
    operation: (extent: VmdkExtent, at: number, from: number, length: number) => Maybe<void>,
  ): Steps<void> {
    for (let from = 0; from < length;) {
      const { start, extent } = this.#at(offset + from);
      const at = offset + from - start;
      const part = Math.min(length - from, extent.virtualSize - at);
      yield* wait(operation(extent, at, from, part));
      from += part;
    }
  }

  *#flush(): Steps<void> {
    for (const { extent } of this.parts.extents) yield* wait(extent.flush());
    yield* wait(this.storage.flush());
  }

  *#close(): Steps<void> {
    for (const { extent } of this.parts.extents) {
      if (extent.storage !== this.storage) yield* wait(extent.close());
    }
    yield* wait(this.storage.close());
  }
}

/** The grain of all extents, where they agree (QEMU `vmdk_get_info`). Bytes. */
function commonGrain(extents: readonly PlacedExtent[]): number | undefined {
  const grains = extents.map(({ extent }) =>
    extent instanceof SparseExtent ? extent.clusterSize : undefined,
  );
  return grains.every((grain) => grain === grains[0]) ? grains[0] : undefined;
}
