/** The two machines of the IDE scripts, with a PIIX3 or a PIIX4: two disks on the first channel, a CD-ROM drive on the second. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { guessGeometry } from '#engine/ide/geometry.ts';
import type { IdeDriveOptions } from '#engine/ide/options.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import type { Board } from './board.ts';
import { platterPc, qemuPc, type IdeModel } from './ide-board.ts';
import { IdeScript } from './ide-driver.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';

export const DISK = 16 * 1024 * 1024;
const SMALL = 3 * 1024 * 1024 + 512;
const DISC = 1024 * 1024;
export const SECTORS = DISK / 512;
/** The device register: LBA on the first drive and on the second, CHS on the first. */
export const LBA = 0xe0;
export const SECOND = 0xf0;
export const CHS = 0xa0;

export function content(bytes: number, seed: number): Uint8Array {
  const data = new Uint8Array(bytes);
  const words = new Uint32Array(data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 2654435761) ^ 0x5bd1e995;
  return data;
}

/** A partition of 8 heads and 32 sectors a track. */
function withTable(data: Uint8Array): Uint8Array {
  data.fill(0, 0x1be, 0x200);
  data.set([0x80, 1, 1, 0, 0x83, 7, 32, 10, 1, 0, 0, 0, 0, 0x10, 0, 0], 0x1be);
  data.set([0x55, 0xaa], 510);
  return data;
}

const CONTENT = [content(DISK, 1), withTable(content(SMALL, 2)), content(DISC, 3)];
export const NAMES = ['disk', 'small', 'disc'];

/**
 * How QEMU makes each controller. `pc` has a PIIX3 of its own; on `q35`, whose disks are SATA, nobody holds the ports of the PC of old,
 * so that a PIIX4 can be plugged into any slot.
 */
const QEMU: Record<IdeModel, { machine: string; bus: string; options: readonly string[] }> = {
  'piix3-ide': { machine: 'pc', bus: 'ide', options: [] },
  'piix4-ide': { machine: 'q35', bus: 'piix', options: ['-device', 'piix4-ide,id=piix,addr=5'] },
};

export interface IdeMachines {
  readonly model: IdeModel;
  readonly folder: string;
  readonly boards: readonly Board[];
  /** What Platter's disks hold. */
  readonly disks: readonly Uint8Array[];
}

async function start(model: IdeModel, folder: string): Promise<IdeMachines> {
  const { machine, bus, options } = QEMU[model];
  await Promise.all(NAMES.map((name, i) => writeFile(join(folder, name), CONTENT[i])));
  const drive = (name: string): string[] => [
    '-drive',
    `file=${join(folder, name)},if=none,id=${name},format=raw,discard=unmap`,
  ];
  const devices = [
    `ide-hd,drive=disk,bus=${bus}.0,unit=0`,
    `ide-hd,drive=small,bus=${bus}.0,unit=1,serial=an ide disk,model=Platter,ver=1.0`,
    `ide-cd,drive=disc,bus=${bus}.1,unit=0`,
  ].flatMap((device) => ['-device', device]);
  const socket = join(folder, 'qmp.sock');
  const qtest = await QTest.start(
    join(folder, 'q.sock'),
    [...options, ...NAMES.flatMap(drive), ...devices, '-qmp', `unix:${socket},server=on,wait=off`],
    machine,
  );
  await qtest.ask('irq_intercept_in ioapic');
  const nodes = CONTENT.map((bytes, i) => {
    const node = arrayNode(bytes.length, i === 2);
    node.disk.set(bytes);
    return node;
  });
  const drives: (IdeDriveOptions | undefined)[] = [
    { kind: 'hd', node: nodes[0], unmap: true },
    {
      kind: 'hd',
      node: nodes[1],
      unmap: true,
      serial: 'an ide disk',
      model: 'Platter',
      version: '1.0',
      geometry: await guessGeometry(nodes[1]),
    },
    { kind: 'cd', node: nodes[2] },
    undefined,
  ];
  const boards = [platterPc(drives, model), qemuPc(qtest, await Qmp.connect(socket))];
  return { model, folder, boards, disks: nodes.map(({ disk }) => disk) };
}

/** New machines for every test of the block that it is called in; what is returned answers those of the test that runs. */
export function machinesForEach(model: IdeModel): () => IdeMachines {
  let folder: string;
  let machines: IdeMachines | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platter-ide-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    machines = await start(model, folder);
  });
  afterEach(async () => {
    for (const board of machines?.boards ?? []) await board.close();
    machines = undefined;
  });
  return () => {
    if (machines === undefined) throw new Error('no test runs');
    return machines;
  };
}

/** Runs the script on both and compares what they answered. */
export async function same(
  { model, boards }: IdeMachines,
  script: (driver: IdeScript) => Promise<void>,
): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new IdeScript(board, model);
    await script(driver);
    logs.push(driver.log);
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(0);
  expect(platter).toEqual(qemu);
}
