/** Fixed and dynamic VHDX (QEMU `block/vhdx.c`). */
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CheckResult, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { ClusteredDriver, ZERO, type ClusterState } from '../shared/clustered.ts';
import type { VhdxBlocks } from './blocks.ts';
import { FULLY_PRESENT } from './blocks.ts';
import { checkVhdx } from './check.ts';
import { describeHeaders, MIB, updateHeaders, type Regions, type VhdxHeaderSection } from './header.ts';
import type { VhdxMetadata } from './metadata.ts';

/** Everything that opening has found out. */
export interface VhdxParts {
  section: VhdxHeaderSection;
  regions: Regions;
  metadata: VhdxMetadata;
  blocks: VhdxBlocks;
  /** The log was replayed in memory: the file itself still waits for it. */
  replayed: boolean;
  /** The log was replayed into the file when it was opened for writing. */
  replayedIntoFile?: boolean;
}

export class VhdxDriver extends ClusteredDriver {
  readonly format = 'vhdx';
  readonly parts: VhdxParts;
  /** The guest's bytes change for the first time since opening: the file must get new identifiers before. */
  #announced = false;

  constructor(storage: Storage, parts: VhdxParts, readOnly: boolean) {
    const { metadata } = parts;
    super({ storage, virtualSize: metadata.diskSize, clusterSize: metadata.blockSize, readOnly });
    this.parts = parts;
  }

  lookup(index: number): Maybe<ClusterState> {
    return andThen(this.parts.blocks.payload(index), (entry) =>
      entry.state === FULLY_PRESENT ? { kind: 'data', hostOffset: entry.offset } : ZERO,
    );
  }

  describe(): FormatDescription {
    return describeVhdx(this.parts);
  }

  check(): Maybe<CheckResult> {
    return run(checkVhdx(this.parts.blocks, this.virtualSize));
  }

  /** In place only after the identifiers in the header have changed. */
  protected override get overwritable(): boolean {
    return this.#announced && !this.readOnly;
  }

  protected override beforeChange(): Steps<void> {
    return this.announce();
  }

  /** Gives the file new identifiers, once. */
  *announce(): Steps<void> {
    if (this.#announced) return;
    yield* updateHeaders(this.storage, this.parts.section, {
      file_write_guid: globalThis.crypto.randomUUID(),
      data_write_guid: globalThis.crypto.randomUUID(),
    });
    this.#announced = true;
  }

  protected *allocate(): Steps<number> {
    return alignUp(yield* wait(this.storage.size()), MIB);
  }

  /**
   * Eight bytes within one sector, after the block itself: whoever dies here leaves the old entry or the new one, and a log entry
   * around it would promise nothing more.
   */
  protected *link(index: number, hostOffset: number): Steps<void> {
    yield* wait(this.parts.blocks.setPayload(index, FULLY_PRESENT, hostOffset));
  }
}

export function describeVhdx(parts: VhdxParts): FormatDescription {
  return {
    dirty: parts.replayed,
    header: [...describeHeaders(parts.section, parts.regions), ...parts.metadata.fields],
  };
}
