/** READ, WRITE, VERIFY and COMPARE AND WRITE (SBC-3 sections 5.3 to 5.46). */
import { OP } from '../../trace/format.ts';
import type { Maybe } from '../../maybe.ts';
import { andThen, isPromise } from '../../maybe.ts';
import { good, PREPARED, refuse, type BlockTransfer, type ScsiAnswer, type ScsiCommand } from '../command.ts';
import type { Cdb } from '../cdb.ts';
import { OPCODE } from '../opcode.ts';
import { clip, gather, segmentsLength } from '../segments.ts';
import { SENSE } from '../sense.ts';
import type { DiskState } from './state.ts';

/** RDPROTECT, WRPROTECT and VRPROTECT: protection information is not supported. In six bytes these bits are reserved. */
const PROTECT = 0xe0;
/** FUA: what was written is stable before the command ends. */
const FUA = 0x08;

const WRITES_AND_VERIFIES: ReadonlySet<number> = new Set([
  OPCODE.writeAndVerify10,
  OPCODE.writeAndVerify12,
  OPCODE.writeAndVerify16,
]);

/** Whether `[lba, lba + blocks)` lies on the medium; an empty range just past the end does. */
export function inRange(state: DiskState, lba: number, blocks: number): boolean {
  return lba + blocks <= state.blocks;
}

/** What stands against READ or WRITE of these blocks, or undefined. */
function refused(state: DiskState, cdb: Cdb): ScsiAnswer | undefined {
  if ((cdb.bytes[1] & PROTECT) !== 0) return refuse(SENSE.invalidField);
  return inRange(state, cdb.lba, cdb.transfer) ? undefined : refuse(SENSE.lbaOutOfRange);
}

function fill(state: DiskState, cdb: Cdb, into: BlockTransfer, op: number): number {
  into.op = op;
  into.offset = cdb.lba * state.blockSize;
  into.bytes = cdb.transfer * state.blockSize;
  into.moved = into.bytes;
  into.before = into.through = into.unmap = false;
  return PREPARED.transfer;
}

const forced = (cdb: Cdb): boolean => cdb.length > 6 && (cdb.bytes[1] & FUA) !== 0;
const NOTHING = good();

/** READ(6), READ(10), READ(12), READ(16). */
export function prepareRead(state: DiskState, cdb: Cdb, into: BlockTransfer): ScsiAnswer | number {
  const answer = refused(state, cdb);
  if (answer !== undefined) return answer;
  if (cdb.transfer === 0) return NOTHING;
  fill(state, cdb, into, OP.read);
  into.before = forced(cdb);
  return PREPARED.transfer;
}

/** WRITE(6) to WRITE(16), and WRITE AND VERIFY: a write that is stable is verified, as far as this medium can be. */
export function prepareWrite(state: DiskState, cdb: Cdb, into: BlockTransfer): ScsiAnswer | number {
  if (state.readOnly) return refuse(SENSE.writeProtected);
  const answer = refused(state, cdb);
  if (answer !== undefined) return answer;
  if (cdb.transfer === 0) return NOTHING;
  fill(state, cdb, into, OP.write);
  into.through = !state.writeCache || forced(cdb) || WRITES_AND_VERIFIES.has(cdb.opcode);
  return PREPARED.transfer;
}

/** SYNCHRONIZE CACHE: everything, whatever range was asked for. */
export function prepareFlush(state: DiskState, cdb: Cdb, into: BlockTransfer): number {
  fill(state, cdb, into, OP.flush);
  into.offset = into.bytes = into.moved = 0;
  return PREPARED.transfer;
}

/** Carries a prepared transfer out with the command's own buffers. */
export function carryOut(state: DiskState, transfer: BlockTransfer, command: ScsiCommand): Maybe<ScsiAnswer> {
  const { node } = state;
  const { op, offset, bytes, through } = transfer;
  switch (op) {
    case OP.flush:
      return andThen(node.flush(), () => NOTHING);
    case OP.read: {
      const read = (): Maybe<ScsiAnswer> =>
        transferSegments(clip(command.dataIn, bytes), (at, segment) => node.read(offset + at, segment));
      return transfer.before ? andThen(node.flush(), read) : read();
    }
    default: {
      const written = transferSegments(clip(command.dataOut, bytes), (at, segment) =>
        node.write(offset + at, segment),
      );
      return through ? andThen(written, (answer) => andThen(node.flush(), () => answer)) : written;
    }
  }
}

/** VERIFY: the range is checked. Comparing with sent data (BYTCHK) is refused, as QEMU's emulated disk does. */
export function verifyBlocks(state: DiskState, { cdb }: ScsiCommand): ScsiAnswer {
  const byteCheck = cdb.bytes[1] & 0x06;
  if ((cdb.bytes[1] & PROTECT) !== 0 || byteCheck !== 0) {
    return refuse(SENSE.invalidField);
  }
  return inRange(state, cdb.lba, cdb.transfer) ? good() : refuse(SENSE.lbaOutOfRange);
}

/** After a write: the flush that a write cache that is off wants, or FUA (`now`). */
export function stable(state: DiskState, written: Maybe<void>, now = false): Maybe<void> {
  return state.writeCache && !now ? written : andThen(written, () => state.node.flush());
}

/**
 * COMPARE AND WRITE (SBC-3 section 5.2) of one block, the maximum that page B0h promises. Nothing comes between the two: where the medium
 * answers later, the next one waits.
 */
export function compareAndWrite(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer> {
  const { cdb } = command;
  const node = state.node;
  const blocks = cdb.bytes[13];
  if (blocks > 1 || (cdb.bytes[1] & PROTECT) !== 0) {
    return refuse(SENSE.invalidField);
  }
  if (state.readOnly) {
    return refuse(SENSE.writeProtected);
  }
  if (!inRange(state, cdb.lba, blocks)) {
    return refuse(SENSE.lbaOutOfRange);
  }
  const data = gather(command.dataOut, 2 * blocks * state.blockSize);
  if (data.length < 2 * blocks * state.blockSize) {
    return refuse(SENSE.invalidParamLength);
  }
  if (blocks === 0) {
    return good();
  }
  const offset = cdb.lba * state.blockSize;
  const current = new Uint8Array(state.blockSize);
  const now = (cdb.bytes[1] & FUA) !== 0;
  return state.alone(() =>
    andThen(node.read(offset, current), () =>
      current.every((byte, index) => byte === data[index])
        ? andThen(stable(state, node.write(offset, data.subarray(state.blockSize)), now), () =>
            good(data.length),
          )
        : refuse(SENSE.miscompare),
    ),
  );
}

/** Moves the segments one after another; stays on the stack as long as the storage does. */
function transferSegments(
  segments: readonly Uint8Array[],
  move: (at: number, segment: Uint8Array) => Maybe<void>,
): Maybe<ScsiAnswer> {
  const total = segmentsLength(segments);
  const from = (index: number, at: number): Maybe<ScsiAnswer> => {
    let position = at;
    for (let next = index; next < segments.length; next++) {
      const segment = segments[next];
      const moving = move(position, segment);
      position += segment.length;
      if (isPromise(moving)) {
        const following = position;
        return moving.then(() => from(next + 1, following));
      }
    }
    return good(total);
  };
  return from(0, 0);
}
