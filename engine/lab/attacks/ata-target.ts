/** The hostile driver of an ATA disk, whatever its controller: its attacks, its memory, and the proof that the disk lives. */
import type { GuestAllocator } from '../../guest/allocator.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { AHCI_ATTACKS, AHCI_DISC_ATTACKS } from './ahci.ts';
import { AhciDiscHostile, AhciHostile, type AhciHostileOptions } from './ahci-hostile.ts';
import type { Attack } from './attack.ts';
import { ATA_SCRATCH_BYTES, type AtaHostile, type AtaHostileOptions } from './ata-hostile.ts';
import { ATAPI_ATTACKS } from './atapi.ts';
import { AtapiHostile } from './atapi-hostile.ts';
import { IDE_ATTACKS } from './ide.ts';
import { IdeHostile, type IdeHostileOptions } from './ide-hostile.ts';
import { HostilePanel, type AttackPanel, type HostileTarget } from './panel.ts';

/** The machine around the controller. */
export interface AtaContext extends Omit<AtaHostileOptions, 'scratch'> {
  trace: TraceRing;
  allocator: Pick<GuestAllocator, 'take'>;
  quiet: () => Promise<void>;
  probeAgain: () => void;
}

class AtaTarget<H extends AtaHostile> implements HostileTarget<H> {
  readonly #o: AtaContext;
  readonly #attacks: readonly Attack<H>[];
  /** A driver with its memory at `scratch`. */
  readonly #make: (scratch: number) => H;
  #scratch = 0;

  constructor(context: AtaContext, attacks: readonly Attack<H>[], make: (scratch: number) => H) {
    this.#o = context;
    this.#attacks = attacks;
    this.#make = make;
  }

  get trace(): TraceRing {
    return this.#o.trace;
  }
  attacks(): readonly Attack<H>[] {
    return this.#attacks;
  }
  hostile(): H {
    if (this.#scratch === 0) this.#scratch = this.#o.allocator.take(ATA_SCRATCH_BYTES);
    return this.#make(this.#scratch);
  }
  quiet(): Promise<void> {
    return this.#o.quiet();
  }
  recover(): void {
    this.#o.probeAgain();
  }
  async works(): Promise<boolean> {
    const hostile = this.hostile();
    await this.quiet();
    return hostile.reads;
  }
}

/** What can be tried on the disk, or the CD-ROM, at this place of an IDE channel. */
export function idePanel(
  context: AtaContext,
  place: Omit<IdeHostileOptions, keyof AtaHostileOptions>,
  isCd: boolean,
): AttackPanel {
  if (isCd) {
    const make = (scratch: number): AtapiHostile => new AtapiHostile({ ...context, ...place, scratch });
    return new HostilePanel(new AtaTarget(context, ATAPI_ATTACKS, make));
  }
  const make = (scratch: number): IdeHostile => new IdeHostile({ ...context, ...place, scratch });
  return new HostilePanel(new AtaTarget(context, IDE_ATTACKS, make));
}

/** What can be tried on the disk, or the CD-ROM drive, at this port of an AHCI controller. */
export function ahciPanel(
  context: AtaContext,
  place: Omit<AhciHostileOptions, keyof AtaHostileOptions>,
  isCd: boolean,
): AttackPanel {
  if (isCd) {
    const disc = (scratch: number): AhciHostile => new AhciDiscHostile({ ...context, ...place, scratch });
    return new HostilePanel(new AtaTarget(context, AHCI_DISC_ATTACKS, disc));
  }
  const make = (scratch: number): AhciHostile => new AhciHostile({ ...context, ...place, scratch });
  return new HostilePanel(new AtaTarget(context, AHCI_ATTACKS, make));
}
