/** What a logical unit remembers between commands. */
import type { Sense } from '../sense.ts';
import { SENSE } from '../sense.ts';
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

  /** A medium is in, and the tray is closed. */
  get ready(): boolean {
    return !this.trayOpen && this.options.node.virtualSize > 0;
  }

  /** A unit attention for every initiator (SAM-5 section 5.14); one pending for each is enough, the newest wins. */
  attentionForAll(sense: Sense): void {
    this.#general = sense;
    this.#told.clear();
    this.#attentions.clear();
  }

  attentionFor(initiator: string, sense: Sense): void {
    this.#attentions.set(initiator, sense);
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
