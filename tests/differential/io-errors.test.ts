/**
 * Requests that fail at the host, and `rerror=`/`werror=` with a machine that stops: SCSI and IDE disks and a CD-ROM of Platter's beside
 * QEMU's over blkdebug. virtio-blk without stops is in virtio-blk-errors.test.ts.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlockNode } from '#engine/block/node.ts';
import { errorAction, type OnError, type OnErrors } from '#engine/block/on-error.ts';
import { PlatterError } from '#engine/errors.ts';
import type { IoErrorReport } from '#engine/machine/io-errors.ts';
import { RunState } from '#engine/machine/run-state.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { platterQ35Machine } from './ahci-board.ts';
import { qemuBoard, type Board } from './board.ts';
import { platterPcMachine, qemuPc as pausedPc } from './ide-board.ts';
import { ahciGuest, BAD, discGuest, ideGuest, scsiGuest, type Guest } from './io-error-guests.ts';
import { RunningQemu } from './running-qemu.ts';
import { platterScsiBoard } from './virtio-scsi-board.ts';
import { pattern } from './virtio-scsi-cases.ts';

const BYTES = 1024 * 1024;
const CONTENT = pattern(BYTES, 6);

interface Policy extends OnErrors {
  readErrno: number;
  writeErrno: number;
}
const policy = (rerror: OnError, werror: OnError, readErrno = 5, writeErrno = 5): Policy => ({
  rerror,
  werror,
  readErrno,
  writeErrno,
});
const POLICIES = [
  policy('auto', 'auto'),
  policy('report', 'report', 28, 28),
  policy('ignore', 'ignore'),
  policy('stop', 'stop'),
  policy('enospc', 'enospc', 5, 28),
  policy('enospc', 'auto', 28, 28),
];

/** A disk like QEMU's behind blkdebug. */
function brokenNode({ readErrno, writeErrno }: Policy, readOnly: boolean): BlockNode {
  const good = arrayNode(BYTES, readOnly);
  good.disk.set(CONTENT);
  const left = { read: true, write: true, flush: true };
  const fail = (kind: keyof typeof left, errno: number): void => {
    if (!left[kind]) return;
    left[kind] = false;
    throw new PlatterError(errno === 28 ? 'storage.no-space' : 'storage.io', 'broken');
  };
  const covers = (sector: number, offset: number, length: number): boolean =>
    offset <= sector * 512 && offset + length > sector * 512;
  return {
    ...good,
    read: (offset, target) => {
      if (covers(BAD, offset, target.length)) fail('read', readErrno);
      return good.read(offset, target);
    },
    write: (offset, source) => {
      if (covers(BAD + 1, offset, source.length)) fail('write', writeErrno);
      return good.write(offset, source);
    },
    flush: () => fail('flush', writeErrno),
  };
}

function qemuPc(qtest: RunningQemu['qtest']): Board {
  const board = pausedPc(qtest);
  // differs: machine-timer
  return { ...board, lines: async () => (await board.lines()).filter((line) => !/ [08]$/.test(line)) };
}

interface Kind {
  name: string;
  machine: 'pc' | 'q35';
  devices: (errors: string) => readonly string[];
  platter: (node: BlockNode, policy: Policy, errors: Errors) => Board & { process(): void };
  qemu: (qtest: RunningQemu['qtest']) => Board;
  guest: (board: Board) => Promise<Guest>;
  readOnly?: boolean;
}
interface Errors {
  runState: RunState;
  onIoError: (report: IoErrorReport) => void;
}

const ide = (kind: 'hd' | 'cd', node: BlockNode, onErrors: OnErrors) => ({ kind, node, onErrors });

const KINDS: readonly Kind[] = [
  {
    name: 'scsi-hd on virtio-scsi',
    machine: 'q35',
    devices: (errors) => [
      'virtio-scsi-pci,id=s0,addr=4,disable-legacy=on',
      `scsi-hd,bus=s0.0,drive=d0,${errors}`,
    ],
    platter: (node, { rerror, werror }, errors) => {
      const { board, device } = platterScsiBoard({}, { legacy: false, modern: true }, false, errors);
      device.attach(0, 0, new ScsiDisk({ node, kind: 'disk', deviceId: 'd0', rerror, werror }));
      return { ...board, process: () => void device.process() };
    },
    qemu: qemuBoard,
    guest: scsiGuest,
  },
  ...([true, false] as const).map((dma): Kind => ({
    name: `ide-hd on PIIX3 by ${dma ? 'DMA' : 'PIO'}`,
    machine: 'pc',
    devices: (errors) => [`ide-hd,drive=d0,bus=ide.0,unit=0,${errors}`],
    platter: (node, policies, errors) => {
      const { board, device } = platterPcMachine([ide('hd', node, policies)], 'piix3-ide', errors);
      return { ...board, process: () => device.process() };
    },
    qemu: qemuPc,
    guest: (board) => ideGuest(board, dma),
  })),
  ...([true, false] as const).map((queued): Kind => ({
    name: `ide-hd on AHCI${queued ? ', queued' : ''}`,
    machine: 'q35',
    devices: (errors) => [`ide-hd,drive=d0,bus=ide.0,${errors}`],
    platter: (node, policies, errors) => {
      const { board, device } = platterQ35Machine([ide('hd', node, policies)], errors);
      return { ...board, process: () => device.process() };
    },
    qemu: qemuBoard,
    guest: (board) => ahciGuest(board, queued),
  })),
  {
    name: 'ide-cd on PIIX3',
    machine: 'pc',
    readOnly: true,
    devices: (errors) => [`ide-cd,drive=d0,bus=ide.0,unit=0,${errors}`],
    platter: (node, policies, errors) => {
      const { board, device } = platterPcMachine([ide('cd', node, policies)], 'piix3-ide', errors);
      return { ...board, process: () => device.process() };
    },
    qemu: qemuPc,
    guest: discGuest,
  },
];

/** What one side needs for the script besides its board. */
interface Side {
  /** Waits for the next BLOCK_IO_ERROR. */
  told(): Promise<string>;
  status(): Promise<string>;
  cont(): Promise<void>;
}

async function script(guest: Guest, side: Side): Promise<readonly string[]> {
  const { note } = guest;
  for (const [name, step] of guest.failing) {
    await step.begin();
    const told = await side.told();
    note(`${name}: BLOCK_IO_ERROR ${told}`);
    const status = await side.status();
    note(`${name}: the machine is ${status}`);
    const stopped = told.includes('stop');
    if (stopped) {
      await step.still();
      await side.cont();
      note(`${name}: the machine is ${await side.status()} again`);
    }
    await step.end(!stopped);
  }
  await guest.afterwards();
  return guest.log;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-io-errors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function onQemu(
  kind: Kind,
  { rerror, werror, readErrno, writeErrno }: Policy,
): Promise<readonly string[]> {
  const image = join(folder, 'disk.img');
  await writeFile(image, CONTENT);
  const once = (n: number, event: string, errno: number, rest: string): string =>
    `inject-error.${n}.event=${event},inject-error.${n}.errno=${errno},inject-error.${n}.once=on,inject-error.${n}.${rest}`;
  // A machine that stops flushes both nodes, which takes the first two of these.
  const stops = errorAction(werror, false, writeErrno) === 'stop';
  const inject = [
    once(0, 'read_aio', readErrno, `sector=${BAD}`),
    once(1, 'write_aio', writeErrno, `sector=${BAD + 1}`),
    ...(stops ? [2, 3, 4] : [2]).map((n) => once(n, 'flush_to_disk', writeErrno, 'iotype=flush')),
  ].join(',');
  const readOnly = kind.readOnly === true ? ',read-only=on' : '';
  const qemu = await RunningQemu.start(
    folder,
    [
      '-blockdev',
      `driver=blkdebug,node-name=bad,image.driver=file,image.filename=${image},${inject}${readOnly}`,
      '-blockdev',
      `driver=raw,node-name=d0,file=bad${readOnly}`,
      ...kind.devices(`rerror=${rerror},werror=${werror}`).flatMap((device) => ['-device', device]),
    ],
    kind.machine,
  );
  try {
    if (kind.machine === 'pc') await qemu.qtest.ask('irq_intercept_in ioapic');
    return await script(await kind.guest(kind.qemu(qemu.qtest)), {
      told: async () => {
        const data = await qemu.event('BLOCK_IO_ERROR');
        const { operation, action, nospace } = data;
        if (action === 'stop') await qemu.event('STOP');
        return `${String(operation)} ${String(action)}${nospace === true ? ' nospace' : ''}`;
      },
      status: () => qemu.status(),
      cont: async () => void (await qemu.qmp.ask('cont')),
    });
  } finally {
    await qemu.close();
  }
}

async function onPlatter(kind: Kind, wanted: Policy): Promise<readonly string[]> {
  const reports: IoErrorReport[] = [];
  const runState = new RunState();
  const board = kind.platter(brokenNode(wanted, kind.readOnly === true), wanted, {
    runState,
    onIoError: (report) => void reports.push(report),
  });
  return script(await kind.guest(board), {
    told: async () => {
      const report = reports.shift();
      if (report === undefined) throw new Error('nothing failed');
      // QEMU says so of a device that has stopped the machine.
      const nospace = report.errno === 28 && report.action === 'stop';
      return `${report.operation} ${report.action}${nospace ? ' nospace' : ''}`;
    },
    status: async () => runState.status,
    cont: async () => {
      runState.cont();
      board.process();
    },
  });
}

describe.each(KINDS)('$name beside QEMU: requests that fail at the host', (kind) => {
  it.each(POLICIES)('rerror=$rerror,werror=$werror with $readErrno and $writeErrno', async (wanted) => {
    const qemu = await onQemu(kind, wanted);
    const platter = await onPlatter(kind, wanted);
    expect(qemu.length).toBeGreaterThan(5);
    expect(platter).toEqual(qemu);
  });
});
