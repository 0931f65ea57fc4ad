/** Shared by the tests of the SCSI disk: a disk over memory, and commands spelled as bytes. */
import { MemoryStorage } from '../../block/storage/memory.ts';
import { openImage } from '../../block/graph.ts';
import type { BlockNode } from '../../block/node.ts';
import { decodeCdb } from '../cdb.ts';
import type { LogicalUnit, ScsiAnswer } from '../command.ts';
import { ScsiDisk } from './disk.ts';
import type { ScsiDiskOptions } from './options.ts';

/** A raw node of so many bytes of memory. */
export async function memoryNode(bytes: number, readOnly = false): Promise<BlockNode> {
  const opened = await openImage(new MemoryStorage(bytes, { readOnly }), { format: 'raw', readOnly });
  return opened.node;
}

export async function memoryDisk(bytes: number, options: Partial<ScsiDiskOptions> = {}): Promise<ScsiDisk> {
  const disk = new ScsiDisk({ node: await memoryNode(bytes), kind: 'disk', ...options });
  disk.takeAttention('I');
  return disk;
}

/** Sends a CDB; the answer with the bytes that came back. */
export async function send(
  unit: LogicalUnit,
  cdb: number[],
  {
    out = new Uint8Array(0),
    room = 65536,
    initiator = 'I',
  }: { out?: Uint8Array; room?: number; initiator?: string } = {},
): Promise<ScsiAnswer & { data: Uint8Array }> {
  const decoded = decodeCdb(Uint8Array.from(cdb));
  if (decoded === undefined) {
    throw new Error('the test sent a CDB that cannot be decoded');
  }
  const target = new Uint8Array(room);
  const answer = await unit.execute({ cdb: decoded, initiator, dataOut: [out], dataIn: [target] });
  return { ...answer, data: target.subarray(0, answer.moved) };
}
