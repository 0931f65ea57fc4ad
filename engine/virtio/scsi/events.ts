/** Events of the SCSI host that wait to be told (virtio 1.2, section 5.6.6.3), and the note that some could not be. */
import { EVENT, EVENT_BYTES, EVENTS_MISSED } from './protocol.ts';

interface ScsiEvent {
  event: number;
  /** The 8 bytes of the address, or zeroes for no logical unit. */
  address: Uint8Array;
  reason: number;
}

export class ScsiEvents {
  /** Bytes of the event that `take` made. */
  readonly bytes = new Uint8Array(EVENT_BYTES);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #waiting: ScsiEvent[] = [];
  /** There was no buffer for one of them. */
  missed = false;

  get any(): boolean {
    return this.#waiting.length > 0;
  }

  push(event: number, address: Uint8Array, reason: number): void {
    this.#waiting.push({ event, address, reason });
  }

  /** The driver offered buffers: what was missed can be told now. */
  tellMissed(): void {
    if (this.missed) this.push(EVENT.none, new Uint8Array(8), 0);
  }

  /** Puts the next event into `bytes`; `hasBuffer` false loses it. Answers its type and flags. */
  take(hasBuffer: boolean): number {
    const next = this.#waiting.shift();
    if (next === undefined || !hasBuffer) {
      this.missed ||= next !== undefined;
      return 0;
    }
    const event = (this.missed ? next.event | EVENTS_MISSED : next.event) >>> 0;
    this.missed = false;
    this.#view.setUint32(0, event, true);
    this.bytes.set(next.address, 4);
    this.#view.setUint32(12, next.reason, true);
    return event;
  }

  reset(): void {
    this.#waiting.length = 0;
    this.missed = false;
  }
}
