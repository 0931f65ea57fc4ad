/** A laboratory over a disk in memory, as most of its tests want it. */
import type { LabFrame } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import type { BlockNode } from '../../block/node.ts';
import { openImage } from '../../block/graph.ts';
import { MemoryStorage } from '../../block/storage/memory.ts';
import type { Maybe } from '../../maybe.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { LabOptions } from '../types.ts';

export const MIB = 1024 * 1024;
export const LINE =
  '-drive file=a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0,id=disk1,addr=0x9';
export const WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 8,
  numberIos: 500,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};

export async function memoryNode(bytes = 16 * MIB): Promise<BlockNode> {
  const image = await openImage(new MemoryStorage(bytes), { format: 'raw', readOnly: false });
  return image.node;
}

/** The same node, answering a moment later each time. */
export function later(node: BlockNode): BlockNode {
  const soon = (work: () => Maybe<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  return {
    driver: 'later',
    name: node.name,
    virtualSize: node.virtualSize,
    readOnly: node.readOnly,
    map: (offset, length) => node.map(offset, length),
    read: (offset, target) => soon(() => node.read(offset, target)),
    write: (offset, source) => soon(() => node.write(offset, source)),
    writeZeroes: (offset, length, unmap) => soon(() => node.writeZeroes(offset, length, unmap)),
    discard: (offset, length) => soon(() => node.discard(offset, length)),
    flush: () => soon(() => node.flush()),
    close: () => node.close(),
  };
}

export function lab(
  node: BlockNode,
  workload: Partial<Workload> = {},
  line = LINE,
  more: Partial<LabOptions> = {},
) {
  return createLab({
    line: parseCommandLine(line),
    drives: (id) => (id === 'd0' ? node : undefined),
    workload: { ...WORKLOAD, ...workload },
    ...more,
  });
}

export const frameOf = (it: ReturnType<typeof createLab>): LabFrame =>
  it.frame({ seq: 1, from: -1, count: 100, requestId: null, queue: 0 });
