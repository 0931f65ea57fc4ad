/** What a logical unit remembers between commands. */
import { PlatterError } from '../../errors.ts';
import type { BlockNode } from '../../block/node.ts';
import { isPromise, type Maybe } from '../../maybe.ts';
import type { UnitListener } from '../command.ts';
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
  listener: UnitListener | undefined;
  trayLocked = false;
  /** What lies in the drive. */
  medium: BlockNode | undefined;
  /** For GET EVENT STATUS NOTIFICATION: another medium was put in; the host would like to open a locked tray. */
  mediaEvent = false;
  ejectRequested = false;
  /** After the attention that there is no medium comes the one that there is another (QEMU's `media_changed`). */
  #mediaChanged = false;
  /** The sense of the last command when it failed. */
  lastSense: Sense | undefined;
  /** What has to be over before the next piece of work that tolerates no other of its kind. */
  #busy: Promise<unknown> | undefined;
  readonly #attentions = new Map<string, Sense>();
  #general: Sense | undefined = SENSE.reset;
  readonly #told = new Set<string>();

  constructor(options: ScsiDiskOptions) {
    this.options = resolveOptions(options);
    this.medium = options.node;
    this.blockSize = this.options.logicalBlockSize;
    this.writeCache = this.options.writeCache;
  }

  /** The medium, for who knows that there is one. Throws `block.no-medium`. */
  get node(): BlockNode {
    if (this.medium !== undefined) return this.medium;
    throw new PlatterError('block.no-medium', 'there is no medium in the drive', { errno: 'ENOMEDIUM' });
  }

  /** Bytes of the medium; 0 without one. */
  get bytes(): number {
    return this.medium?.virtualSize ?? 0;
  }

  /** Logical blocks of the medium. */
  get blocks(): number {
    return Math.floor(this.bytes / this.blockSize);
  }

  /** A medium is in, even one without a single block. */
  get inserted(): boolean {
    return this.medium !== undefined;
  }

  /** A medium is in, and the tray is closed. */
  get ready(): boolean {
    return !this.trayOpen && this.inserted;
  }

  /** A CD-ROM is never written. */
  get readOnly(): boolean {
    return this.options.kind === 'cdrom' || this.medium?.readOnly === true;
  }

  /** Does `work` when everything that was given to it before is over, however that ended. */
  alone<T>(work: () => Maybe<T>): Maybe<T> {
    const before = this.#busy;
    const done = before === undefined ? work() : before.then(work, work);
    if (!isPromise(done)) return done;
    const end = done.then(
      () => undefined,
      () => undefined,
    );
    this.#busy = end;
    void end.then(() => {
      if (this.#busy === end) this.#busy = undefined;
    });
    return done;
  }

  /** Opens or closes the tray. */
  moveTray(open: boolean): void {
    if (open === this.trayOpen) return;
    this.trayOpen = open;
    this.listener?.trayMoved(open);
  }

  /**
   * The host has moved the tray (QEMU's `scsi_cd_change_media_cb`). Guests that do not ask for events see first that the medium is
   * gone, and then that there is another one.
   */
  changeMedia(load: boolean): void {
    this.#mediaChanged = load;
    this.moveTray(!load);
    this.attentionForAll(SENSE.unitAttentionNoMedium);
    this.mediaEvent = true;
    this.ejectRequested = false;
  }

  /** A unit attention for every initiator (SAM-5 section 5.14); one pending for each is enough, the most urgent wins. */
  attentionForAll(sense: Sense): void {
    const pending = this.#told.size === 0 ? this.#general : undefined;
    for (const [initiator, other] of this.#attentions) {
      if (moreUrgent(other, sense) === sense) this.#attentions.delete(initiator);
    }
    this.#general = moreUrgent(pending, sense);
    this.#told.clear();
    this.listener?.attention(sense);
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
    if (sense !== undefined && this.#mediaChanged) {
      this.#mediaChanged = false;
      this.attentionForAll(SENSE.mediumChanged);
    }
    return sense;
  }
}
