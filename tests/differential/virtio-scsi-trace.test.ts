/** The events that Platter records for SCSI commands beside those that QEMU itself traces: the same names, order and figures. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { EVENTS } from '#engine/trace/registry.ts';
import { decodeRow, type TraceRow } from '#engine/trace/row.ts';
import type { TraceRing } from '#engine/trace/ring.ts';
import { TMF } from '#engine/virtio/scsi/protocol.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { qemuBoard, type Board } from './board.ts';
import { QTest } from './qtest.ts';
import { platterScsiBoard, platterScsiMmioBoard } from './virtio-scsi-board.ts';
import { rw } from './virtio-scsi-cases.ts';
import { ScsiScriptDriver } from './virtio-scsi-driver.ts';

const DISK_BYTES = 1024 * 1024;
/** What both record. */
const NAMES = [
  'virtqueue_pop',
  'virtio_scsi_cmd_req',
  'virtio_scsi_tmf_req',
  'scsi_req_parsed',
  'scsi_req_parsed_lba',
  'scsi_req_parse_bad',
  'scsi_device_set_ua',
  'scsi_req_dequeue',
  'virtio_scsi_cmd_resp',
  'virtio_scsi_tmf_resp',
  'virtqueue_fill',
  'virtqueue_flush',
  'virtio_notify',
  'virtio_notify_irqfd',
  'virtio_mmio_setting_irq',
];

let folder = '';
const boards: Board[] = [];
afterEach(async () => {
  for (const board of boards.splice(0)) await board.close();
  await rm(folder, { recursive: true, force: true });
});

async function script(driver: ScsiScriptDriver): Promise<void> {
  await driver.start();
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0], tag: 1 });
  await driver.command({ cdb: rw.read10(5, 2), into: 1024, tag: 2 });
  await driver.command({ cdb: rw.write16(7n, 1), out: new Uint8Array(512), tag: 3 });
  await driver.command({ cdb: rw.read10(0xffff, 1), into: 512, tag: 4 });
  await driver.command({ cdb: rw.read10(0, 1), tag: 5 });
  await driver.command({ cdb: [0xff], tag: 6 });
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0], target: 9, tag: 7 });
  await driver.command({ cdb: [0x12, 0, 0, 0, 36, 0], into: 36, lun: 2, tag: 8 });
  await driver.tmf(TMF.logicalUnitReset, 0, 0, 9);
  await driver.command({ cdb: [0x35, ...Array<number>(9).fill(0)], tag: 10 });
  await driver.command({ cdb: [0x35, ...Array<number>(9).fill(0)], tag: 11 });
}

/** One line of QEMU's log as `name figure figure …`: pointers left out, numbers in decimal. */
function fromLog(line: string): string {
  const [name, ...words] = line.trim().split(/\s+/);
  const figures = words.map((word) => Number(word.replace(/^[a-z]+=/, '')));
  return [name, ...figures.filter((value) => Number.isInteger(value) && value < 2 ** 32)].join(' ');
}

/** The same of one of our rows: the figures that QEMU prints, in its order. */
function fromRow({ name, args }: TraceRow): string {
  const [a, b, c, d] = args;
  switch (name) {
    case 'virtqueue_pop':
      return [name, c, d].join(' ');
    case 'scsi_device_set_ua':
      return [name, a, b, 6, c >> 8, c & 255].join(' ');
    case 'virtqueue_fill':
      return name;
    case 'virtqueue_flush':
      return [name, b].join(' ');
    case 'virtio_notify':
    case 'virtio_notify_irqfd':
      return name;
    case 'virtio_mmio_setting_irq':
      return [name, a].join(' ');
    default:
      return [name, ...args].join(' ');
  }
}

/** differs: trace-figures */
function comparable(line: string): string {
  const [name, ...figures] = line.split(' ');
  if (name === 'virtqueue_fill') return name;
  if (name === 'scsi_req_parsed' && figures.length === 6)
    return [name, figures[0], figures[1], figures[3], figures[5]].join(' ');
  if (name === 'scsi_req_parsed_lba' && figures.length === 5)
    return [name, figures[0], figures[1], figures[4]].join(' ');
  if (name === 'scsi_req_parse_bad' && figures.length === 4)
    return [name, figures[0], figures[1], figures[3]].join(' ');
  return line;
}

function ours(trace: TraceRing): string[] {
  const rows = trace.copy(Array.from({ length: trace.total }, (_, i) => i));
  return Array.from({ length: trace.total }, (_, i) => decodeRow(rows, i))
    .filter(({ event }) => NAMES.includes(EVENTS[event]?.name ?? ''))
    .map(fromRow);
}

/** The transports, and QEMU’s machine and options for each. */
const ON = {
  pci: { machine: 'q35', options: ['-device', 'virtio-scsi-pci,id=s0,addr=4,disable-legacy=on'] },
  mmio: {
    machine: 'microvm,ioapic2=off',
    options: ['-global', 'virtio-mmio.force-legacy=off', '-device', 'virtio-scsi-device,id=s0'],
  },
} as const;

it.each(['pci', 'mmio'] as const)('over %s, names, order and figures are QEMU’s', async (transport) => {
  folder = await mkdtemp(join(tmpdir(), 'platter-trace-'));
  const log = join(folder, 'trace.log');
  await writeFile(join(folder, 'disk.img'), new Uint8Array(DISK_BYTES));
  const { machine, options } = ON[transport];
  const args = [
    ...['virtio_scsi_*', 'scsi_*', 'virtqueue_*', 'virtio_notify*', 'virtio_mmio_setting_irq'].flatMap(
      (names) => ['-trace', names],
    ),
    '-D',
    log,
    ...options,
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    'scsi-hd,bus=s0.0,drive=d0',
  ];
  const qtest = await QTest.start(join(folder, 'q.sock'), args, machine);
  if (transport === 'mmio') await qtest.ask('irq_intercept_in ioapic');
  // With ioeventfd, which is the default, QEMU notifies through its guest notifiers; virtio-mmio has it under KVM alone.
  const { board, device } =
    transport === 'pci'
      ? platterScsiBoard({}, { legacy: false, modern: true }, true)
      : platterScsiMmioBoard({});
  device.attach(0, 0, new ScsiDisk({ node: arrayNode(DISK_BYTES), kind: 'disk', deviceId: 'd0' }));
  boards.push(board, qemuBoard(qtest));
  for (const each of boards) await script(new ScsiScriptDriver(each, { transport, packed: false }));
  const known = new Set(NAMES);
  const start = (lines: string[]): string[] =>
    lines.slice(lines.findIndex((line) => line.startsWith('virtqueue_pop')));
  const theirs = async (): Promise<string[]> =>
    (await readFile(log, 'utf8'))
      .split('\n')
      .map((line) => line.replace(/^\d+@\d+\.\d+:/, ''))
      .filter((line) => known.has(line.split(' ')[0]));
  const mine = start(ours(device.trace).map(comparable));
  let qemu: string[] = [];
  // QEMU writes its log a moment later.
  for (let tries = 0; tries < 200 && qemu.length < mine.length; tries++) {
    qemu = start((await theirs()).map(fromLog).map(comparable));
    if (qemu.length < mine.length) await sleep(20);
  }
  expect(mine.length).toBeGreaterThan(60);
  expect(mine).toEqual(qemu);
});
