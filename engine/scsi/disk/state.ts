/** What a logical unit remembers between commands. */
import type { Sense } from '../sense.ts';
import { moreUrgent, SENSE } from '../sense.ts';
import { Reservations } from './reservations.ts';
import { resolveOptions, type ResolvedOptions, type ScsiDiskOptions } from './options.ts';

export class DiskState {
  readonly options: ResolvedOptions;
  readonly reservations = new Reservations();
  /** Bytes of a logical block; MODE SELECT may change it. */
  blockSize: number;
  writeCache: boolean;
  trayOpen = false;
  trayLocked = false;
  /** A CD-ROM's media event for GET EVENT STATUS NOTIFICATION. */
  mediaEvent: 'none' | 'new-media' | 'eject-request' = 'none';
  /** The sense of the last command when it failed. */
  lastSense: Sense | undefined;
  readonly #attentions = new Map<string, Sense>();
  #general: Sense | undefined = SENSE.reset;
  readonly #told = new Set<string>();

  constructor(options: ScsiDiskOptions) {
    this.options = resolveOptions(options);
    this.blockSize = this.options.logicalBlockSize;
    this.writeCache = this.options.writeCache;
  }

  /** Logical blocks of the medium. */
  get blocks(): number {
    return Math.floor(this.options.node.virtualSize / this.blockSize);
  }

  /** A medium is in: a disk's always is, even one without a single block. */
  get inserted(): boolean {
    return this.options.kind === 'disk' || this.options.node.virtualSize > 0;
  }

  /** A medium is in, and the tray is closed. */
  get ready(): boolean {
    return !this.trayOpen && this.inserted;
  }

  /** A CD-ROM is never written. */
  get readOnly(): boolean {
    return this.options.kind === 'cdrom' || this.options.node.readOnly;
  }

  /** A unit attention for every initiator (SAM-5 section 5.14); one pending for each is enough, the most urgent wins. */
  attentionForAll(sense: Sense): void {
    const pending = this.#told.size === 0 ? this.#general : undefined;
    for (const [initiator, other] of this.#attentions) {
      if (moreUrgent(other, sense) === sense) this.#attentions.delete(initiator);
    }
    this.#general = moreUrgent(pending, sense);
    this.#told.clear();
  }

  attentionFor(initiator: string, sense: Sense): void {
    this.#attentions.set(initiator, moreUrgent(this.pending(initiator), sense));
  }

  pending(initiator: string): Sense | undefined {
    return this.#attentions.get(initiator) ?? (this.#told.has(initiator) ? undefined : this.#general);
  }

  take(initiator: string): Sense | undefined {
    const sense = this.pending(initiator);
    if (!this.#attentions.delete(initiator)) {
      this.#told.add(initiator);
    }
    return sense;
  }
}
