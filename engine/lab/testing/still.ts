/** What the tests of a machine that an error of the host stops, or that a person's hand is at, have in common. */
import type { DiskView, LabFrame } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import type { BlockNode } from '../../block/node.ts';
import { parseCommandLine } from '../../qemu/parse.ts';
import { createLab } from '../lab.ts';
import type { Lab } from '../types.ts';

/** Eight blocks, one after the other. */
const WORKLOAD: Workload = {
  rw: 'write',
  bs: 4096,
  iodepth: 1,
  numberIos: 8,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};

/** A machine that may be stopped unless `canStop` says otherwise. */
export function openLab(
  line: string,
  drives: (id: string) => BlockNode | undefined,
  workload: Partial<Workload> = {},
  canStop = true,
): Lab {
  return createLab({
    line: parseCommandLine(line),
    drives,
    workload: { ...WORKLOAD, ...workload },
    canStop,
  });
}

/** Until the lab does not run any more. */
export async function still(lab: Lab): Promise<void> {
  while (lab.state === 'running') await new Promise((resolve) => setImmediate(resolve));
}

export const look = (lab: Lab): LabFrame =>
  lab.frame({ seq: 1, from: 0, count: 0, queue: null, requestId: null, details: null });
export const diskOf = (lab: Lab, disk = 0): DiskView => look(lab).disks[disk];
