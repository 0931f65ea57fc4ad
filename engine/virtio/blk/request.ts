/** One request of the block device: a copy of its header, its buffers, and the host's request that carries it out. */
import type { GuestMemory } from '../../machine/memory.ts';
import { PlatterError } from '../../errors.ts';
import { HostRequest } from '../../machine/host-io.ts';
import type { QueueElement } from '../queue/element.ts';
import type { VirtQueueState } from '../device.ts';
import { BLK_S, BLK_T, HEADER_SIZE, SEGMENT_SIZE } from './protocol.ts';

export class BlkRequest {
  requestId = 0;
  queue!: VirtQueueState;
  element!: QueueElement;
  /** The device's generation when it was taken: a reset makes it void. */
  generation = 0;
  type = 0;
  /** Low and high word of the sector, as the header has them. */
  sectorLow = 0;
  sectorHigh = 0;
  /** Where the status byte goes, in the host's buffer of guest memory. */
  statusAt = 0;
  /** Bytes of data after the header and before the status byte. */
  outBytes = 0;
  inBytes = 0;
  status: number = BLK_S.ok;
  /** Bytes of data that the device wrote into the guest's memory. */
  written = 0;
  /** Whether the host worked on it (reads, writes): QEMU traces those completions. */
  rw = false;
  /** Handed to the host and not yet reported. */
  atHost = false;
  readonly host: HostRequest;
  /** The segment of a discard, write zeroes or secure erase, once it was copied. */
  readonly segment = new DataView(new ArrayBuffer(SEGMENT_SIZE));
  segmentCopied = false;
  next: BlkRequest | undefined;
  readonly #header = new DataView(new ArrayBuffer(HEADER_SIZE));

  constructor(finished: (request: BlkRequest) => void) {
    this.host = new HostRequest(() => finished(this));
  }

  get sector(): number {
    return this.sectorHigh * 0x1_0000_0000 + this.sectorLow;
  }

  get isWrite(): boolean {
    return (this.type & BLK_T.out) !== 0;
  }

  /** Bytes of data that a read or a write moves. */
  get dataBytes(): number {
    return (this.type & BLK_T.out) !== 0 ? this.outBytes : this.inBytes;
  }

  /** Bytes of the longest buffer of data of a read or a write; what a buffer holds beside data does not count. */
  get longestBuffer(): number {
    const { lengths, outCount, inCount } = this.element;
    const write = this.isWrite;
    let header = write ? HEADER_SIZE : 0;
    let left = this.dataBytes;
    let longest = 0;
    for (let i = write ? 0 : outCount; i < outCount + inCount && left > 0; i++) {
      const other = Math.min(header, lengths[i]);
      header -= other;
      const data = Math.min(lengths[i] - other, left);
      left -= data;
      longest = Math.max(longest, data);
    }
    return longest;
  }

  /**
   * Copies the header out of the first readable bytes and finds the status byte, the last writable one; how the driver cut its
   * buffers does not matter (section 2.7.4). Throws `virtio.blk-header` and `virtio.blk-no-status` when there is no room for them:
   * nothing can be answered then (section 5.2.6.2).
   */
  parse(memory: GuestMemory, element: QueueElement): void {
    if (element.outBytes < HEADER_SIZE || element.inCount === 0) throw noRoom(element);
    if (element.lengths[0] >= HEADER_SIZE && (element.offsets[0] & 3) === 0) {
      const { words } = memory;
      const word = element.offsets[0] >>> 2;
      this.type = words[word];
      this.sectorLow = words[word + 2];
      this.sectorHigh = words[word + 3];
    } else {
      this.gather(memory, 0, new Uint8Array(this.#header.buffer));
      this.type = this.#header.getUint32(0, true);
      this.sectorLow = this.#header.getUint32(8, true);
      this.sectorHigh = this.#header.getUint32(12, true);
    }
    this.#place(element);
  }

  /** Goes on where a chain was already taken and its header read. */
  adopt(element: QueueElement, type: number, sector: number): void {
    this.type = type;
    this.sectorLow = sector;
    this.sectorHigh = 0;
    this.#place(element);
  }

  #place(element: QueueElement): void {
    const last = element.outCount + element.inCount - 1;
    this.statusAt = element.offsets[last] + element.lengths[last] - 1;
    this.outBytes = element.outBytes - HEADER_SIZE;
    this.inBytes = element.inBytes - 1;
    this.status = BLK_S.ok;
    this.written = 0;
    this.rw = false;
    this.segmentCopied = false;
    this.host.error = undefined;
  }

  /** Copies the readable bytes after the header into `target`; answers how many there were. */
  gatherData(memory: GuestMemory, target: Uint8Array): number {
    return this.gather(memory, HEADER_SIZE, target);
  }

  /** Copies readable bytes from `skip` on into `target`; answers how many there were. */
  gather(memory: GuestMemory, skip: number, target: Uint8Array): number {
    const { offsets, lengths, outCount } = this.element;
    let at = 0;
    for (let i = 0; i < outCount && at < target.length; i++) {
      const from = Math.min(skip, lengths[i]);
      skip -= from;
      const take = Math.min(lengths[i] - from, target.length - at);
      if (take > 0) target.set(memory.bytes.subarray(offsets[i] + from, offsets[i] + from + take), at);
      at += take;
    }
    return at;
  }

  /** Copies `source` into the writable bytes, status byte excepted; answers how many bytes there was room for. */
  scatter(memory: GuestMemory, source: Uint8Array): number {
    const { offsets, lengths, outCount, inCount } = this.element;
    let at = 0;
    for (let i = outCount; i < outCount + inCount && at < source.length; i++) {
      const take = Math.min(lengths[i], source.length - at, this.inBytes - at);
      if (take <= 0) break;
      memory.dirty(offsets[i], take);
      memory.bytes.set(source.subarray(at, at + take), offsets[i]);
      at += take;
    }
    return at;
  }

  /** Puts the data buffers of a read or a write into `host.windows`; neighbours in memory become one. */
  windows(memory: GuestMemory, write: boolean): void {
    const { offsets, lengths, outCount, inCount } = this.element;
    const to = write ? outCount : outCount + inCount;
    let skip = write ? HEADER_SIZE : 0;
    let left = write ? this.outBytes : this.inBytes;
    let start = 0;
    let run = 0;
    this.host.windowCount = 0;
    // As nearly every driver cuts it: header, one buffer, status byte.
    if (
      outCount === (write ? 2 : 1) &&
      outCount + inCount === 3 &&
      lengths[0] === HEADER_SIZE &&
      lengths[1] === left
    ) {
      this.#window(memory, offsets[1], left, write);
      return;
    }
    for (let i = write ? 0 : outCount; i < to && left > 0; i++) {
      const gap = Math.min(skip, lengths[i]);
      skip -= gap;
      const take = Math.min(lengths[i] - gap, left);
      if (take === 0) continue;
      const at = offsets[i] + gap;
      left -= take;
      if (run > 0 && at === start + run) {
        run += take;
        continue;
      }
      if (run > 0) this.#window(memory, start, run, write);
      start = at;
      run = take;
    }
    if (run > 0) this.#window(memory, start, run, write);
  }

  #window(memory: GuestMemory, offset: number, length: number, write: boolean): void {
    const { host } = this;
    if (!write) memory.dirty(offset, length);
    host.windows[host.windowCount++] = memory.window(offset, length);
  }
}

function noRoom({ outBytes, inCount }: QueueElement): PlatterError {
  if (outBytes >= HEADER_SIZE) {
    return new PlatterError(
      'virtio.blk-no-status',
      'virtio 1.2, section 5.2.6: a request must end with a device-writable status byte',
      { field: '5.2.6', value: String(inCount) },
    );
  }
  return new PlatterError(
    'virtio.blk-header',
    `virtio 1.2, section 5.2.6: a request must begin with ${HEADER_SIZE} device-readable bytes; found ${outBytes}`,
    { field: '5.2.6', value: String(outBytes) },
  );
}
