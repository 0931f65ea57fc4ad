/**
 * Where the lab's devices lie, the serials that nobody gave, and the slots: what the guest finds in the lab is compared with what QEMU says
 * over QMP of the same line.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DetailView } from '#contract/lab-details.ts';
import type { Workload } from '#contract/settings.ts';
import { createLab } from '#engine/lab/lab.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';

const BYTES = 1024 * 1024;
const WORKLOAD: Workload = {
  rw: 'read',
  bs: 4096,
  iodepth: 1,
  numberIos: 4,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 1,
  fsync: 0,
};

/** A disk: the id of its device, that of its drive, and that of the PCI function that it is or lies behind. */
interface Disk {
  id: string;
  drive: string;
  pci: string;
}
const disk = (id: string, drive: string, pci = id): Disk => ({ id, drive, pci });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-places-'));
  await writeFile(join(folder, 'a.img'), new Uint8Array(BYTES));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = (): string => `file=${join(folder, 'a.img')},format=raw,file.locking=off`;
const backs = (): string => [0, 1, 2, 3].map((i) => `-drive ${file()},if=none,id=d${i}`).join(' ');

interface PciDevice {
  qdev_id: string;
  bus: number;
  slot: number;
  function: number;
  class_info: { class: number };
  id: { vendor: number; device: number };
}

/** What is to be compared: the function's address, its identity, and the serial of the drive. */
interface Found {
  address: string;
  identity: string;
  serial: string;
}

async function qemuFinds(machine: string, line: string, disks: readonly Disk[]): Promise<Found[]> {
  const socket = join(folder, 'qmp.sock');
  const options = [...line.split(' '), '-qmp', `unix:${socket},server=on,wait=off`];
  const qtest = await QTest.start(join(folder, 'q.sock'), options, machine);
  const qmp = await Qmp.connect(socket);
  try {
    const buses = (await qmp.ask('query-pci')) as { devices: PciDevice[] }[];
    const all = buses.flatMap(({ devices }) => devices);
    const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
    const answers: Found[] = [];
    for (const { id, pci } of disks) {
      const found = all.find(({ qdev_id }) => qdev_id === pci);
      if (found === undefined) throw new Error(`QEMU has no PCI function ${pci}`);
      const path = `/machine/peripheral/${id}`;
      answers.push({
        address: `${hex(found.bus, 2)}:${hex(found.slot, 2)}.${found.function}`,
        identity: `${hex(found.id.vendor, 4)}:${hex(found.id.device, 4)} ${hex(found.class_info.class, 4)}`,
        serial: (await qmp.ask('qom-get', { path, property: 'serial' })) as string,
      });
    }
    return answers;
  } finally {
    qmp.close();
    await qtest.close();
  }
}

function labFinds(line: string, disks: readonly Disk[]): Found[] {
  const node = arrayNode(BYTES);
  const lab = createLab({
    line: parseCommandLine(line),
    drives: () => node,
    workload: { ...WORKLOAD, disks: disks.map(({ drive }) => drive) },
  });
  return disks.map((_, at): Found => {
    const look = (details: string): DetailView => {
      const frame = lab.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null, disk: at, details });
      if (frame.details === null) throw new Error('no details');
      return frame.details;
    };
    const { sections, fields } = look('pci');
    const value = (name: string): number => fields.find((field) => field.name === name)?.value ?? -1;
    const hex = (number: number): string => number.toString(16).padStart(4, '0');
    const serial = sections.some(({ id }) => id === 'identity')
      ? (look('identity').fields.find(({ name }) => name === 'Serial number')?.text ?? '')
      : '';
    return {
      address: sections.find(({ id }) => id === 'pci')?.text ?? '',
      identity: `${hex(value('Vendor ID'))}:${hex(value('Device ID'))} ${hex(value('Class Code') >> 8)}`,
      serial,
    };
  });
}

/** Machine, devices, disks. QEMU is started with -nodefaults, and so is the lab's line. */
const LINES: [string, string, Disk[]][] = [
  ['q35', '-device piix4-ide,id=p,addr=6 -device ide-hd,id=a,bus=p.1,drive=d0', [disk('a', 'd0', 'p')]],
  [
    'q35',
    '-device piix3-ide,id=p -device ide-hd,id=a,bus=p.0,unit=1,drive=d0 -device virtio-blk-pci,id=b,drive=d1',
    [disk('a', 'd0', 'p'), disk('b', 'd1')],
  ],
  ['pc', '-device piix4-ide,id=p -device ide-hd,id=a,bus=p.1,drive=d0', [disk('a', 'd0', 'p')]],
  [
    'pc',
    '-device ahci,id=s,addr=9 -device piix4-ide,id=p -device ahci,id=t -device ide-hd,id=a,bus=s.2,drive=d0 -device ide-hd,id=b,bus=t.0,drive=d1 -device ide-hd,id=c,bus=p.0,drive=d2',
    [disk('a', 'd0', 's'), disk('b', 'd1', 't'), disk('c', 'd2', 'p')],
  ],
  [
    'pc',
    '-device virtio-scsi-pci,id=v -device virtio-blk-pci,id=b,drive=d0 -device pci-bridge,id=r,chassis_nr=1 -device virtio-blk-pci,id=c,drive=d1',
    [disk('b', 'd0'), disk('c', 'd1')],
  ],
];

describe('what the guest finds in the lab is what QEMU has', () => {
  it.each(LINES)('-machine %s %s', async (machine, devices, disks) => {
    const line = `${backs()} ${devices}`;
    const qemu = await qemuFinds(machine, line, disks);
    expect(labFinds(`-M ${machine} -nodefaults ${line}`, disks)).toEqual(qemu);
  });
});
