/** Persistent reservations (SPC-4 section 5.14), kept in memory: PERSISTENT RESERVE IN and OUT. */
import { good, refuse, reservationConflict, type ScsiAnswer, type ScsiCommand } from '../command.ts';
import { gather, scatter } from '../segments.ts';
import { OPCODE } from '../opcode.ts';
import { SENSE } from '../sense.ts';

/** SPC-4 table 58. */
export const RESERVATION_TYPE = {
  writeExclusive: 1,
  exclusiveAccess: 3,
  writeExclusiveRegistrantsOnly: 5,
  exclusiveAccessRegistrantsOnly: 6,
  writeExclusiveAllRegistrants: 7,
  exclusiveAccessAllRegistrants: 8,
} as const;

const IN = { readKeys: 0, readReservation: 1, reportCapabilities: 2, readFullStatus: 3 } as const;
const OUT = {
  register: 0,
  reserve: 1,
  release: 2,
  clear: 3,
  preempt: 4,
  preemptAndAbort: 5,
  registerAndIgnoreExistingKey: 6,
} as const;
const PARAMETER_LIST_LENGTH = 24;
/** Initiators that may be registered at once: a hostile guest must not fill the memory. */
const MAX_REGISTRATIONS = 64;

/** Commands that every reservation lets through (SPC-4 table 53, SBC-3 table 13). */
const ALWAYS_ALLOWED: ReadonlySet<number> = new Set([
  OPCODE.inquiry,
  OPCODE.reportLuns,
  OPCODE.requestSense,
  OPCODE.testUnitReady,
  OPCODE.persistentReserveIn,
  OPCODE.persistentReserveOut,
  OPCODE.readCapacity10,
  OPCODE.serviceActionIn16,
  OPCODE.maintenanceIn,
]);
/** Commands that change nothing on the medium: write-exclusive reservations let them through. */
const READS: ReadonlySet<number> = new Set([
  OPCODE.read6,
  OPCODE.read10,
  OPCODE.read12,
  OPCODE.read16,
  OPCODE.verify10,
  OPCODE.verify12,
  OPCODE.verify16,
  OPCODE.seek10,
  OPCODE.modeSense6,
  OPCODE.modeSense10,
]);

export class Reservations {
  readonly #keys = new Map<string, bigint>();
  #holder: string | undefined;
  #type = 0;
  #generation = 0;

  /** Whether the reservation in force keeps this initiator from this command (RESERVATION CONFLICT). */
  blocks(initiator: string, opcode: number): boolean {
    if (this.#type === 0 || ALWAYS_ALLOWED.has(opcode) || this.#holds(initiator)) {
      return false;
    }
    const registered = this.#keys.has(initiator);
    switch (this.#type) {
      case RESERVATION_TYPE.writeExclusive:
        return !READS.has(opcode);
      case RESERVATION_TYPE.exclusiveAccess:
        return true;
      case RESERVATION_TYPE.writeExclusiveRegistrantsOnly:
      case RESERVATION_TYPE.writeExclusiveAllRegistrants:
        return !registered && !READS.has(opcode);
      default:
        return !registered;
    }
  }

  /** PERSISTENT RESERVE IN, SPC-4 section 6.16. */
  in({ cdb, dataIn }: ScsiCommand): ScsiAnswer {
    const data = this.#inData(cdb.bytes[1] & 0x1f);
    return data === undefined
      ? refuse(SENSE.invalidField)
      : good(scatter(data.subarray(0, cdb.transfer), dataIn));
  }

  /**
   * PERSISTENT RESERVE OUT, SPC-4 section 6.17.
   * @param tell is called for every other initiator that must learn of the change by a unit attention.
   */
  out(
    command: ScsiCommand,
    tell: (initiator: string, what: 'preempted' | 'released' | 'registration') => void,
  ): ScsiAnswer {
    const { cdb, initiator } = command;
    const action = cdb.bytes[1] & 0x1f;
    const scope = cdb.bytes[2] >> 4;
    const type = cdb.bytes[2] & 0x0f;
    const list = gather(command.dataOut, PARAMETER_LIST_LENGTH);
    if (
      list.length !== PARAMETER_LIST_LENGTH ||
      new DataView(cdb.bytes.buffer).getUint32(5) !== PARAMETER_LIST_LENGTH
    ) {
      return refuse(SENSE.invalidParamLength);
    }
    const view = new DataView(list.buffer);
    const key = view.getBigUint64(0);
    const serviceKey = view.getBigUint64(8);
    // SPEC_I_PT, ALL_TG_PT and APTPL: reported as not capable.
    if ((list[20] & 0x0d) !== 0) {
      return refuse(SENSE.invalidParam);
    }
    const own = this.#keys.get(initiator);
    if (action === OUT.registerAndIgnoreExistingKey || (action === OUT.register && key === (own ?? 0n))) {
      return this.#register(initiator, serviceKey, tell);
    }
    if (own === undefined || own !== key) {
      return reservationConflict;
    }
    switch (action) {
      case OUT.reserve:
        return this.#reserve(initiator, scope, type);
      case OUT.release:
        return this.#release(initiator, scope, type, tell);
      case OUT.clear:
        this.#others(initiator).forEach((other) => tell(other, 'preempted'));
        this.#keys.clear();
        this.#drop();
        this.#generation++;
        return good(PARAMETER_LIST_LENGTH);
      // A unit sits on one adapter, whose only initiator does not preempt itself: there is no command of the preempted to abort.
      case OUT.preemptAndAbort:
      case OUT.preempt:
        return this.#preempt(initiator, serviceKey, scope, type, tell);
      default:
        return refuse(SENSE.invalidField);
    }
  }

  #register(
    initiator: string,
    serviceKey: bigint,
    tell: (initiator: string, what: 'released') => void,
  ): ScsiAnswer {
    if (serviceKey === 0n) {
      const held = this.#holds(initiator);
      this.#keys.delete(initiator);
      const last = this.#keys.size === 0;
      if (held && (!this.#allRegistrants || last)) {
        const registrantsOnly = this.#type >= RESERVATION_TYPE.writeExclusiveRegistrantsOnly;
        this.#drop();
        if (registrantsOnly) {
          this.#others(initiator).forEach((other) => tell(other, 'released'));
        }
      }
    } else {
      if (!this.#keys.has(initiator) && this.#keys.size >= MAX_REGISTRATIONS) {
        return refuse(SENSE.insufficientRegistrationResources);
      }
      this.#keys.set(initiator, serviceKey);
    }
    this.#generation++;
    return good(PARAMETER_LIST_LENGTH);
  }

  #reserve(initiator: string, scope: number, type: number): ScsiAnswer {
    if (scope !== 0 || !isReservationType(type)) {
      return refuse(SENSE.invalidField);
    }
    if (this.#type !== 0) {
      return this.#holds(initiator) && this.#type === type
        ? good(PARAMETER_LIST_LENGTH)
        : reservationConflict;
    }
    this.#holder = initiator;
    this.#type = type;
    return good(PARAMETER_LIST_LENGTH);
  }

  #release(
    initiator: string,
    scope: number,
    type: number,
    tell: (initiator: string, what: 'released') => void,
  ): ScsiAnswer {
    if (this.#type === 0 || !this.#holds(initiator)) {
      return good(PARAMETER_LIST_LENGTH); // nothing to release is no error
    }
    if (scope !== 0 || type !== this.#type) {
      return refuse(SENSE.invalidReleaseOfReservation);
    }
    this.#drop();
    if (type >= RESERVATION_TYPE.writeExclusiveRegistrantsOnly) {
      this.#others(initiator).forEach((other) => tell(other, 'released'));
    }
    return good(PARAMETER_LIST_LENGTH);
  }

  #preempt(
    initiator: string,
    victim: bigint,
    scope: number,
    type: number,
    tell: (initiator: string, what: 'preempted' | 'registration') => void,
  ): ScsiAnswer {
    const takesReservation =
      this.#type !== 0 &&
      (this.#allRegistrants
        ? victim === 0n
        : this.#holder !== undefined && this.#keys.get(this.#holder) === victim);
    if (victim === 0n && !takesReservation) {
      return refuse(SENSE.invalidParam);
    }
    const victims = [...this.#keys].filter(
      ([name, key]) => name !== initiator && (key === victim || (takesReservation && this.#allRegistrants)),
    );
    if (victims.length === 0 && !takesReservation) {
      return reservationConflict;
    }
    if (takesReservation && (scope !== 0 || !isReservationType(type))) {
      return refuse(SENSE.invalidField);
    }
    for (const [name] of victims) {
      this.#keys.delete(name);
      tell(name, 'registration');
    }
    if (takesReservation) {
      this.#holder = initiator;
      this.#type = type;
    }
    this.#generation++;
    return good(PARAMETER_LIST_LENGTH);
  }

  get #allRegistrants(): boolean {
    return this.#type >= RESERVATION_TYPE.writeExclusiveAllRegistrants;
  }

  #holds(initiator: string): boolean {
    return (
      this.#type !== 0 && (this.#allRegistrants ? this.#keys.has(initiator) : this.#holder === initiator)
    );
  }

  #others(initiator: string): string[] {
    return [...this.#keys.keys()].filter((name) => name !== initiator);
  }

  #drop(): void {
    this.#holder = undefined;
    this.#type = 0;
  }

  #inData(action: number): Uint8Array | undefined {
    switch (action) {
      case IN.readKeys: {
        const { data, view } = this.#header(8 * this.#keys.size);
        [...this.#keys.values()].forEach((key, index) => view.setBigUint64(8 + 8 * index, key));
        return data;
      }
      case IN.readReservation: {
        const { data, view } = this.#header(this.#type === 0 ? 0 : 16);
        if (this.#type !== 0) {
          const key =
            this.#allRegistrants || this.#holder === undefined ? 0n : (this.#keys.get(this.#holder) ?? 0n);
          view.setBigUint64(8, key);
          view.setUint8(21, this.#type);
        }
        return data;
      }
      case IN.reportCapabilities:
        // Length 8; TMV with the mask of the six types (SPC-4 table 222).
        return Uint8Array.of(0, 8, 0, 0x80, 0xea, 0x01, 0, 0);
      case IN.readFullStatus:
        return this.#fullStatus();
      default:
        return undefined;
    }
  }

  #header(length: number): { data: Uint8Array; view: DataView } {
    const data = new Uint8Array(8 + length);
    const view = new DataView(data.buffer);
    view.setUint32(0, this.#generation);
    view.setUint32(4, length);
    return { data, view };
  }

  /** READ FULL STATUS: one descriptor for each registration, with the initiator's name as an iSCSI TransportID. */
  #fullStatus(): Uint8Array {
    const encoder = new TextEncoder();
    const descriptors = [...this.#keys].map(([name, key]) => {
      const text = encoder.encode(name);
      const idLength = Math.max(24, 4 + Math.ceil((text.length + 1) / 4) * 4);
      const bytes = new Uint8Array(24 + idLength);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, key);
      view.setUint8(12, this.#holds(name) ? 1 : 0);
      view.setUint8(13, this.#holds(name) ? this.#type : 0);
      view.setUint16(18, 1); // relative target port
      view.setUint32(20, idLength);
      view.setUint8(24, 0x05);
      view.setUint16(26, idLength - 4);
      bytes.set(text, 28);
      return bytes;
    });
    const { data } = this.#header(descriptors.reduce((sum, bytes) => sum + bytes.length, 0));
    let at = 8;
    for (const bytes of descriptors) {
      data.set(bytes, at);
      at += bytes.length;
    }
    return data;
  }
}

function isReservationType(type: number): boolean {
  return Object.values(RESERVATION_TYPE).some((known) => known === type);
}
