/** One SCSI command of the hostile driver: its header and its answer in guest memory (virtio 1.2, section 5.6.6.1). */
import type { AttackAnswer } from '#contract/lab-attacks.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { STATUS } from '../../scsi/command.ts';
import { parseSense } from '../../scsi/sense.ts';
import { formatArg } from '../../trace/format.ts';
import { DESC_F_WRITE } from '../../virtio/queue/layout.ts';
import { CMD_REQ, CMD_RESP, encodeAddress, RESPONSE } from '../../virtio/scsi/protocol.ts';
import { linked, type RawDescriptor } from './raw-ring.ts';

const HEADER_BYTES = CMD_REQ.cdb + 32;
const SENSE_BYTES = 96;
const ANSWER_BYTES = CMD_RESP.sense + SENSE_BYTES;
const UNANSWERED = 0xff;

export interface HostileCommand {
  /** Bytes that the device is to read. */
  out?: Uint8Array;
  /** Bytes that it may write. */
  into?: number;
  /** The 8 bytes of the address; those of the disk when left out. */
  address?: Uint8Array;
  /** Bytes of the header, less than it needs. */
  headerBytes?: number;
  tag?: number;
}

export class ScsiSlot {
  /** A command was made. */
  used = false;
  readonly #memory: GuestMemory;
  /** Guest physical addresses. */
  readonly #header: number;
  readonly #answer: number;

  constructor(memory: GuestMemory, at: number) {
    this.#memory = memory;
    this.#header = at;
    this.#answer = at + 64;
  }

  get responseAt(): number {
    return this.#answer + CMD_RESP.response;
  }

  /** Writes the header and a blank answer; the chain of them and of the data at `data`. */
  chain(
    cdb: readonly number[],
    options: HostileCommand & { target: number; lun: number; data: number },
  ): RawDescriptor[] {
    const { target, lun, data, out, into = 0, address, tag = 1 } = options;
    const { headerBytes = HEADER_BYTES } = options;
    this.used = true;
    const header = new Uint8Array(HEADER_BYTES);
    header.set(address ?? encodeAddress(target, lun));
    header[CMD_REQ.tag] = tag;
    header.set(cdb, CMD_REQ.cdb);
    this.#memory.write(this.#header, header);
    this.#memory.write(this.#answer, new Uint8Array(ANSWER_BYTES).fill(UNANSWERED));
    const chain: RawDescriptor[] = [[this.#header, headerBytes, 0]];
    if (out !== undefined) {
      this.#memory.write(data, out);
      chain.push([data, out.length, 0]);
    }
    chain.push([this.#answer, ANSWER_BYTES, DESC_F_WRITE]);
    if (into > 0) chain.push([data + (out?.length ?? 0), into, DESC_F_WRITE]);
    return linked(chain);
  }

  rewrite(cdb: readonly number[]): void {
    this.#memory.write(this.#header + CMD_REQ.cdb, Uint8Array.from(cdb));
  }

  #byte(offset: number): number {
    return this.#memory.readUint(this.#answer + offset, 1);
  }

  /** No command, or one that was answered GOOD. */
  get good(): boolean {
    return !this.used || this.#byte(CMD_RESP.status) === STATUS.good;
  }

  /** Response, status and sense of the command. */
  get answers(): readonly AttackAnswer[] {
    const response = this.#byte(CMD_RESP.response);
    if (response === UNANSWERED) return [];
    const rows = [row('response', response, 2, formatArg('scsi-response', response))];
    if (response !== RESPONSE.ok) return rows;
    const status = this.#byte(CMD_RESP.status);
    rows.push(row('status', status, 2, formatArg('scsi-status', status)));
    const length = Math.min(SENSE_BYTES, this.#memory.readUint(this.#answer + CMD_RESP.senseLen, 4));
    const bytes = new Uint8Array(length);
    this.#memory.read(this.#answer + CMD_RESP.sense, bytes);
    const sense = parseSense(bytes);
    if (sense !== undefined) {
      const code = (sense.asc << 8) | sense.ascq;
      rows.push(row('sense key', sense.key, 1, formatArg('sense-key', sense.key)));
      rows.push(row('asc, ascq', code, 4, formatArg('sense-code', code)));
    }
    return rows;
  }
}

const row = (name: string, value: number, digits: number, words: string): AttackAnswer => ({
  name,
  value,
  digits,
  words,
});
