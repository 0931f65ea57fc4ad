/** What the guest's drivers of CD-ROM drives share, as Linux's libata and sr: packets, and what IDENTIFY PACKET DEVICE and sense data say. */
import { OPCODE } from '../scsi/opcode.ts';
import { parseSense, type Sense } from '../scsi/sense.ts';

/** Signature of a packet device in the upper two bytes of the address. */
export const PACKET_SIGNATURE = { mid: 0x14, high: 0xeb } as const;
export const PACKET_BYTES = 12;
/** Bytes of a block of a data disc, and sectors of 512 bytes in it. */
export const DISC_BLOCK = 2048;
const SECTORS_PER_BLOCK = DISC_BLOCK / 512;
export const SENSE_BYTES = 18;
/** The answer to READ CAPACITY(10). */
const CAPACITY_BYTES = 8;
/** Times that a command is sent again after a unit attention (`MAX_RETRIES` of Linux's sr). */
export const MOST_RETRIES = 5;
/** Sense keys (SPC-4, section 4.5.6). */
export const NOT_READY = 2;
const UNIT_ATTENTION = 6;

function packet(...bytes: number[]): Uint8Array {
  const whole = new Uint8Array(PACKET_BYTES);
  whole.set(bytes);
  return whole;
}

export const PACKETS = {
  testUnitReady: packet(OPCODE.testUnitReady),
  requestSense: packet(OPCODE.requestSense, 0, 0, 0, SENSE_BYTES),
  readCapacity: packet(OPCODE.readCapacity10),
  prevent: packet(OPCODE.preventAllowMediumRemoval, 0, 0, 0, 1),
  allow: packet(OPCODE.preventAllowMediumRemoval),
} as const;

/** READ(10) of blocks of 2048 bytes; `sector` and `sectors` are those of the block layer. */
export function readPacket(sector: number, sectors: number): Uint8Array {
  const bytes = packet(OPCODE.read10);
  const view = new DataView(bytes.buffer);
  view.setUint32(2, Math.floor(sector / SECTORS_PER_BLOCK));
  view.setUint16(7, Math.ceil(sectors / SECTORS_PER_BLOCK));
  return bytes;
}

/** Bytes of the disc out of the answer to READ CAPACITY(10). */
function discBytes(answer: Uint8Array): number {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  return (view.getUint32(0) + 1) * view.getUint32(4);
}

/** How a packet that answers at most so many bytes is sent while nothing else happens: what it answered, or undefined when it failed. */
export type SendPacket = (packet: Uint8Array, most: number) => Uint8Array | undefined;

/** Sends a packet without data until the drive has told of what happened to it before. */
function insist(send: SendPacket, packet: Uint8Array): void {
  for (let tries = 0; tries < MOST_RETRIES && send(packet, 0) === undefined; tries++)
    send(PACKETS.requestSense, SENSE_BYTES);
}

/** Locks the drive's door, or unlocks it (`sr_lock_door`). */
export const lockDoor = (send: SendPacket, locked: boolean): void =>
  insist(send, locked ? PACKETS.prevent : PACKETS.allow);

/**
 * Bytes of the disc, once the drive has told of what happened to it; 0 without one.
 */
export function discCapacity(send: SendPacket): number {
  insist(send, PACKETS.testUnitReady);
  const answer = send(PACKETS.readCapacity, CAPACITY_BYTES);
  return answer === undefined ? 0 : discBytes(answer);
}

/** The sense that the drive had; undefined when its bytes make none. Response code with its valid bit, as ATAPI drives set it. */
export const senseOf = (bytes: Uint8Array): Sense | undefined => parseSense(bytes);

/** The command is to be sent again: something has happened to the drive, of which it has told now. */
export const isAttention = (sense: Sense | undefined): boolean => sense?.key === UNIT_ATTENTION;

/** As the data port takes a packet, four bytes at a time. */
export function wordsOf(packet: Uint8Array): number[] {
  const view = new DataView(packet.buffer, packet.byteOffset, PACKET_BYTES);
  return [0, 4, 8].map((at) => view.getUint32(at, true));
}
