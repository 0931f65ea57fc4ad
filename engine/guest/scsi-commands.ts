/** The CDBs that Linux's SCSI disk driver sends for requests of the block layer (drivers/scsi/sd.c). */
import { OPCODE } from '../scsi/opcode.ts';
import { OP } from '../trace/format.ts';
import type { BlockRequest } from './block-request.ts';

const SIXTEEN = 16;
const TEN = 10;
/** WRITE SAME may give space back. */
const UNMAP_BIT = 0x08;
/** Bytes of the parameter list of UNMAP with one descriptor. */
const UNMAP_LIST = 24;

function ten(opcode: number, lba: number, blocks: number): Uint8Array {
  const cdb = new Uint8Array(TEN);
  const view = new DataView(cdb.buffer);
  cdb[0] = opcode;
  view.setUint32(2, lba);
  view.setUint16(7, blocks);
  return cdb;
}

function sixteen(opcode: number, lba: number, blocks: number, flags = 0): Uint8Array {
  const cdb = new Uint8Array(SIXTEEN);
  const view = new DataView(cdb.buffer);
  cdb[0] = opcode;
  cdb[1] = flags;
  view.setBigUint64(2, BigInt(lba));
  view.setUint32(10, blocks);
  return cdb;
}

/** `sd_setup_read_write_cmnd` and its like: ten bytes where they are enough, sixteen otherwise. */
export function sdCommand(disk: { blockSize: number }, { op, sector, sectors }: BlockRequest): Uint8Array {
  const perBlock = disk.blockSize / 512;
  const lba = Math.floor(sector / perBlock);
  const blocks = sectors / perBlock;
  const short = lba + blocks <= 0xffff_ffff && blocks <= 0xffff;
  switch (op) {
    case OP.read:
      return short ? ten(OPCODE.read10, lba, blocks) : sixteen(OPCODE.read16, lba, blocks);
    case OP.write:
      return short ? ten(OPCODE.write10, lba, blocks) : sixteen(OPCODE.write16, lba, blocks);
    case OP.discard:
      return ten(OPCODE.unmap, 0, UNMAP_LIST);
    case OP.writeZeroes:
      return sixteen(OPCODE.writeSame16, lba, blocks, UNMAP_BIT);
    default:
      return ten(OPCODE.synchronizeCache10, 0, 0);
  }
}
