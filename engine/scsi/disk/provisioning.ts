/** UNMAP, WRITE SAME and GET LBA STATUS: logical block provisioning (SBC-3 section 4.7). */
import type { Maybe } from '../../maybe.ts';
import { andThen, run, wait, type Steps } from '../../maybe.ts';
import { OP } from '../../trace/format.ts';
import { good, PREPARED, refuse, type BlockTransfer, type ScsiAnswer, type ScsiCommand } from '../command.ts';
import { gather, scatter } from '../segments.ts';
import { SENSE } from '../sense.ts';
import { MAX_UNMAP_DESCRIPTORS } from './inquiry.ts';
import { inRange, stable } from './read-write.ts';
import type { DiskState } from './state.ts';

const UNMAP_HEADER = 8;
const UNMAP_DESCRIPTOR = 16;
/** Bytes that a WRITE SAME of a pattern writes at a time. */
const WRITE_SAME_CHUNK = 512 * 1024;
/** LBA status descriptors in one answer, whatever the allocation length says (CVE-2020-1711's kin). */
const MAX_LBA_STATUS = 64;
/** Extents that one command asks the format for: a map may have one for every cluster. The rest is told to whoever asks from there on. */
const MAX_EXTENTS = 4096;
const MOST_BLOCKS = 0xffff_ffff;

interface BlockRange {
  lba: number;
  blocks: number;
}

/** UNMAP, SBC-3 section 5.28. All descriptors are checked before the first one is acted on. */
export function unmap(
  state: DiskState,
  command: ScsiCommand,
  into?: BlockTransfer,
): Maybe<ScsiAnswer | number> {
  const { cdb } = command;
  if (cdb.transfer === 0) return good();
  const anchor = (cdb.bytes[1] & 1) !== 0;
  if (anchor) {
    return refuse(SENSE.invalidField);
  }
  const list = gather(command.dataOut, Math.min(cdb.transfer, UNMAP_HEADER + 0xffff));
  const view = new DataView(list.buffer);
  const descriptorLength = list.length < UNMAP_HEADER ? -1 : view.getUint16(2);
  if (
    descriptorLength < 0 ||
    list.length < view.getUint16(0) + 2 ||
    list.length < descriptorLength + UNMAP_HEADER ||
    descriptorLength % UNMAP_DESCRIPTOR !== 0
  ) {
    return refuse(SENSE.invalidParamLength);
  }
  if (state.readOnly) {
    return refuse(SENSE.writeProtected);
  }
  const count = descriptorLength / UNMAP_DESCRIPTOR;
  if (count > MAX_UNMAP_DESCRIPTORS) {
    return refuse(SENSE.invalidParam);
  }
  const ranges: BlockRange[] = [];
  for (let index = 0; index < count; index++) {
    const at = UNMAP_HEADER + index * UNMAP_DESCRIPTOR;
    const lba = view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
    const blocks = view.getUint32(at + 8);
    if (!inRange(state, lba, blocks)) {
      return refuse(SENSE.lbaOutOfRange);
    }
    ranges.push({ lba, blocks });
  }
  const [only] = ranges;
  if (into !== undefined && ranges.length === 1 && only.blocks > 0 && state.options.unmap) {
    return fill(state, into, OP.discard, only, list.length);
  }
  return andThen(discardRanges(state, ranges, 0), () => good(list.length));
}

/** Leaves one range to whoever has the command. */
function fill(state: DiskState, into: BlockTransfer, op: number, range: BlockRange, moved: number): number {
  into.op = op;
  into.offset = range.lba * state.blockSize;
  into.bytes = range.blocks * state.blockSize;
  into.moved = moved;
  into.before = into.unmap = false;
  // QEMU writes zeroes as any other write: with FUA while the cache is off (`blk_co_do_pwritev_part`).
  into.through = op === OP.writeZeroes && !state.writeCache;
  return PREPARED.transfer;
}

function discardRanges(state: DiskState, ranges: readonly BlockRange[], index: number): Maybe<void> {
  const range = ranges[index];
  if (range === undefined) {
    return;
  }
  const discarded =
    range.blocks === 0 || !state.options.unmap
      ? undefined
      : state.node.discard(range.lba * state.blockSize, range.blocks * state.blockSize);
  return andThen(discarded, () => discardRanges(state, ranges, index + 1));
}

/** WRITE SAME(10) and (16), SBC-3 sections 5.48 and 5.49. */
export function writeSame(
  state: DiskState,
  command: ScsiCommand,
  into?: BlockTransfer,
): Maybe<ScsiAnswer | number> {
  const { cdb } = command;
  const node = state.node;
  // ANCHOR, and the obsolete PBDATA and LBDATA.
  if (cdb.transfer === 0 || (cdb.bytes[1] & 0x16) !== 0) {
    return refuse(SENSE.invalidField);
  }
  if (state.readOnly) {
    return refuse(SENSE.writeProtected);
  }
  if (!inRange(state, cdb.lba, cdb.transfer)) {
    return refuse(SENSE.lbaOutOfRange);
  }
  // NDOB; in ten bytes the bit was once RELADR, which QEMU takes for the same.
  const noData = (cdb.bytes[1] & 0x01) !== 0;
  const block = noData ? new Uint8Array(state.blockSize) : gather(command.dataOut, state.blockSize);
  if (block.length < state.blockSize) {
    return refuse(SENSE.invalidField);
  }
  const offset = cdb.lba * state.blockSize;
  const length = cdb.transfer * state.blockSize;
  const answer = good(noData ? 0 : block.length);
  if (block.every((byte) => byte === 0)) {
    const mayUnmap = state.options.unmap && (cdb.bytes[1] & 0x08) !== 0;
    if (into !== undefined) {
      fill(state, into, OP.writeZeroes, { lba: cdb.lba, blocks: cdb.transfer }, answer.moved);
      into.unmap = mayUnmap;
      return PREPARED.transfer;
    }
    return andThen(stable(state, node.writeZeroes(offset, length, mayUnmap)), () => answer);
  }
  const pattern = new Uint8Array(Math.min(length, WRITE_SAME_CHUNK - (WRITE_SAME_CHUNK % state.blockSize)));
  for (let at = 0; at < pattern.length; at += block.length) {
    pattern.set(block, at);
  }
  return andThen(stable(state, writePattern(state, offset, length, pattern)), () => answer);
}

/** Synchronous storages are written in a loop; at the first promise the rest follows it. */
function writePattern(state: DiskState, offset: number, length: number, pattern: Uint8Array): Maybe<void> {
  let done = 0;
  while (done < length) {
    const piece = pattern.subarray(0, Math.min(pattern.length, length - done));
    const writing = state.node.write(offset + done, piece);
    done += piece.length;
    if (writing instanceof Promise) {
      const rest = done;
      return writing.then(() => writePattern(state, offset + rest, length - rest, pattern));
    }
  }
}

/** GET LBA STATUS, SBC-3 section 5.5: mapped (0) or deallocated (1), from the format's own map. */
export function getLbaStatus(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer> {
  const { cdb } = command;
  if (cdb.lba >= state.blocks) {
    return refuse(SENSE.lbaOutOfRange);
  }
  const wanted = Math.min(MAX_LBA_STATUS, Math.max(1, Math.floor((cdb.transfer - 8) / 16)));
  return andThen(run(statuses(state, cdb.lba, wanted)), (found) => {
    const data = new Uint8Array(8 + 16 * found.length);
    const view = new DataView(data.buffer);
    view.setUint32(0, data.length - 4);
    found.forEach(({ lba, blocks, deallocated }, index) => {
      const at = 8 + 16 * index;
      view.setBigUint64(at, BigInt(lba));
      view.setUint32(at + 8, blocks);
      view.setUint8(at + 12, deallocated ? 1 : 0);
    });
    return good(scatter(data.subarray(0, cdb.transfer), command.dataIn));
  });
}

interface LbaStatus extends BlockRange {
  deallocated: boolean;
}

function* statuses(state: DiskState, first: number, wanted: number): Steps<LbaStatus[]> {
  const found: LbaStatus[] = [];
  let lba = first;
  for (let looks = 0; lba < state.blocks && looks < MAX_EXTENTS; looks++) {
    const left = Math.min(state.blocks - lba, MOST_BLOCKS);
    const extent = yield* wait(state.node.map(lba * state.blockSize, left * state.blockSize));
    const blocks = Math.max(1, Math.floor(extent.length / state.blockSize));
    const deallocated = extent.kind === 'unallocated' && state.node.backing === undefined;
    const last = found.at(-1);
    if (last?.deallocated === deallocated && last.blocks + blocks <= MOST_BLOCKS) {
      last.blocks += blocks;
    } else if (found.length === wanted) {
      break;
    } else {
      found.push({ lba, blocks, deallocated });
    }
    lba += blocks;
  }
  return found;
}
