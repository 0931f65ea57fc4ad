/**
 * The log ([MS-VHDX] 2.3): metadata changes that were promised but perhaps not yet made. An image that was not closed must have them
 * replayed before anything else is read.
 */
import { PlatterError } from '../../../errors.ts';
import type { Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { guid, layout, raw, text, u32, u64, x32, x64, type Values } from '../shared/layout.ts';
import { readExactly } from '../shared/storage-window.ts';
import { CHECKSUM_AT, vhdxChecksum, type VhdxHeader } from './header.ts';

export const LOG_SECTOR = 4096;
/** Logs are 1 MiB nearly always; a dirty one past this is refused rather than loaded. */
const MAX_LOG = 64 << 20;
/** Nothing in a VHDX lies further out: 64 TiB of data and as much again for everything else. */
const MAX_FILE = 2 ** 47;

export const logEntryHeader = layout('little', {
  signature: text(4),
  checksum: x32,
  entry_length: u32,
  tail: u32,
  sequence_number: x64,
  descriptor_count: u32,
  reserved: u32,
  log_guid: guid,
  flushed_file_offset: u64,
  last_file_offset: u64,
});
/** `trailing`: bytes 4092–4095 of the sector; `leading`: its bytes 0–7, or the length of a run of zeroes. */
export const logDescriptor = layout('little', {
  signature: text(4),
  trailing: raw(4),
  leading: x64,
  file_offset: u64,
  sequence_number: x64,
});

type EntryHeader = Values<(typeof logEntryHeader)['fields']>;

/** One change: 4096 bytes, or `length` zeroes. Offsets in bytes. */
export interface LogChange {
  offset: number;
  length: number;
  /** Left out for zeroes. */
  data?: Uint8Array;
}

export interface LogReplay {
  /** In the order in which they are to be made. */
  changes: LogChange[];
  /** The file must be at least this long afterwards, bytes. */
  fileSize: number;
}

interface Entry {
  header: EntryHeader;
  /** Byte offset in the log. */
  at: number;
  bytes: Uint8Array;
}

/** What the log asks to be done. Throws `vhdx.bad-log` when it is damaged and `vhdx.truncated` when the file is shorter than it was. */
export function* readLog(storage: Storage, header: VhdxHeader, size: number): Steps<LogReplay> {
  const image = storage.name;
  const check = checkFields('vhdx', image);
  check.unsupported('log_length', header.log_length, header.log_length > MAX_LOG, `at most ${MAX_LOG} bytes`);
  const log = yield* readExactly(storage, header.log_offset, header.log_length, 'vhdx', 'log');
  const active = activeSequence(log, header.log_guid, image);
  const replay: LogReplay = { changes: [], fileSize: size };
  for (const entry of active) {
    if (entry.header.flushed_file_offset > size) {
      throw new PlatterError(
        'vhdx.truncated',
        `"${image}" ends at byte ${size}; its log knows it with ${entry.header.flushed_file_offset}`,
        {
          image,
          field: 'flushed_file_offset',
          offset: header.log_offset + entry.at,
          value: `${size} bytes`,
          expected: `at least ${entry.header.flushed_file_offset} bytes`,
        },
      );
    }
    const last = entry.header.last_file_offset;
    if (last > MAX_FILE) throw badLog(image, `an entry makes the file ${last} bytes long`);
    replay.fileSize = Math.max(replay.fileSize, last);
    readChanges(entry, replay, image);
  }
  return replay;
}

/** The youngest complete sequence of entries, from its tail to its head (2.3.3). */
function activeSequence(log: Uint8Array, id: string, image: string): Entry[] {
  let best: Entry[] = [];
  let reached = 0;
  for (let start = 0; start < log.length && reached < log.length * 2;) {
    const sequence = sequenceFrom(log, start, id, image);
    const head = sequence.at(-1);
    const complete = head === undefined ? -1 : sequence.findIndex((entry) => entry.at === head.header.tail);
    const younger = best.at(-1)?.header.sequence_number ?? 0n;
    if (head !== undefined && complete >= 0 && head.header.sequence_number > younger)
      best = sequence.slice(complete);
    const length = sequence.reduce((sum, entry) => sum + entry.bytes.length, 0);
    start += Math.max(LOG_SECTOR, length);
    reached = start;
  }
  if (best.length === 0) throw badLog(image, 'it holds no complete sequence of entries');
  return best;
}

function sequenceFrom(log: Uint8Array, start: number, id: string, image: string): Entry[] {
  const entries: Entry[] = [];
  let used = 0;
  for (let at = start; used < log.length;) {
    const entry = entryAt(log, at, id, image);
    const before = entries.at(-1)?.header.sequence_number;
    if (entry === undefined || (before !== undefined && entry.header.sequence_number !== before + 1n)) break;
    used += entry.bytes.length;
    if (used > log.length) break;
    entries.push(entry);
    at = (at + entry.bytes.length) % log.length;
  }
  return entries;
}

/** The entry at `at` of the ring, or undefined when there is none that is valid. */
function entryAt(log: Uint8Array, at: number, id: string, image: string): Entry | undefined {
  if (log[at] !== 0x6c || log[at + 1] !== 0x6f || log[at + 2] !== 0x67 || log[at + 3] !== 0x65)
    return undefined;
  const view = new DataView(log.buffer, log.byteOffset);
  const length = view.getUint32(at + logEntryHeader.offsetOf('entry_length'), true);
  if (length < LOG_SECTOR || length % LOG_SECTOR !== 0 || length > log.length) return undefined;
  const bytes = new Uint8Array(length);
  const first = Math.min(length, log.length - at);
  bytes.set(log.subarray(at, at + first));
  bytes.set(log.subarray(0, length - first), first);
  if (view.getUint32(at + CHECKSUM_AT, true) !== vhdxChecksum(bytes)) return undefined;
  const header = logEntryHeader.parse(bytes, image);
  if (header.log_guid !== id || header.sequence_number === 0n) return undefined;
  return { header, at, bytes };
}

function readChanges(entry: Entry, replay: LogReplay, image: string): void {
  const { header, bytes } = entry;
  const descriptorBytes = logEntryHeader.size + header.descriptor_count * logDescriptor.size;
  let sector = Math.ceil(descriptorBytes / LOG_SECTOR) * LOG_SECTOR;
  if (sector > bytes.length) throw badLog(image, 'an entry has more descriptors than it can hold');
  for (let index = 0; index < header.descriptor_count; index++) {
    const descriptor = logDescriptor.parse(bytes, image, logEntryHeader.size + index * logDescriptor.size);
    const offset = descriptor.file_offset;
    if (descriptor.sequence_number !== header.sequence_number)
      throw badLog(image, 'a descriptor belongs to another entry');
    if (offset % LOG_SECTOR !== 0) throw badLog(image, `a descriptor points at byte ${offset}`);
    if (descriptor.signature === 'zero') {
      const length = Number(descriptor.leading);
      if (length % LOG_SECTOR !== 0 || offset + length > MAX_FILE)
        throw badLog(image, 'a run of zeroes is out of bounds');
      replay.changes.push({ offset, length });
      continue;
    }
    if (descriptor.signature !== 'desc') throw badLog(image, `a descriptor is a "${descriptor.signature}"`);
    if (sector + LOG_SECTOR > bytes.length)
      throw badLog(image, 'an entry has fewer data sectors than it needs');
    replay.changes.push({ offset, length: LOG_SECTOR, data: dataSector(bytes, sector, descriptor, image) });
    sector += LOG_SECTOR;
  }
  for (const change of replay.changes) {
    if (change.offset + change.length > Math.max(replay.fileSize, header.last_file_offset)) {
      throw badLog(image, `a change at byte ${change.offset} lies past the end of the file`);
    }
  }
}

function dataSector(
  bytes: Uint8Array,
  at: number,
  descriptor: Values<(typeof logDescriptor)['fields']>,
  image: string,
): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, LOG_SECTOR);
  const high = BigInt(view.getUint32(4, true));
  const low = BigInt(view.getUint32(LOG_SECTOR - 4, true));
  const mark = String.fromCharCode(...bytes.subarray(at, at + 4));
  if (mark !== 'data' || ((high << 32n) | low) !== descriptor.sequence_number) {
    throw badLog(image, 'a data sector belongs to another entry');
  }
  const data = bytes.slice(at, at + LOG_SECTOR);
  new DataView(data.buffer).setBigUint64(0, descriptor.leading, true);
  data.set(descriptor.trailing, LOG_SECTOR - 4);
  return data;
}

function badLog(image: string, why: string): PlatterError {
  return new PlatterError('vhdx.bad-log', `The log of "${image}" is damaged: ${why}`, {
    image,
    field: 'log',
    value: why,
    hint: 'The image was not closed, and what was in flight is lost. Only a copy helps.',
  });
}
