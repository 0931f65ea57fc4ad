/**
 * Media that come and go beside QEMU: the host's commands, the tray, the lock, and what the guest's next commands are told, for scsi-cd
 * on virtio-scsi and for ide-cd on PIIX and on AHCI.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RemovableDrive } from '#engine/block/medium.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { CMD } from '#engine/ide/ata.ts';
import { removableDrive } from '#engine/ide/atapi/removable.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { E } from '#engine/trace/registry.ts';
import type { TraceRing } from '#engine/trace/ring.ts';
import { decodeRow } from '#engine/trace/row.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { platterQ35Machine } from './ahci-board.ts';
import { AhciScript, DATA_AT } from './ahci-driver.ts';
import { qemuBoard, type Board } from './board.ts';
import { platterPcMachine, qemuPc } from './ide-board.ts';
import { IdeScript } from './ide-driver.ts';
import {
  platterMedium,
  qemuMedium,
  qemuTray,
  type MediumCommand,
  type MediumHost,
  type QemuDisc,
} from './medium-host.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';
import { platterScsiBoard } from './virtio-scsi-board.ts';
import { pattern } from './virtio-scsi-cases.ts';
import { ScsiScriptDriver } from './virtio-scsi-driver.ts';

/** Three discs, of 256, 128 and 512 blocks. */
const BYTES = [512 * 1024, 256 * 1024, 1024 * 1024];
const CONTENT = BYTES.map((bytes, seed) => pattern(bytes, seed));

/** A drive of either machine in the hands of its guest and of its host. */
interface Drive {
  /** A command of at most 12 bytes with room for so many bytes. */
  packet(cdb: readonly number[], into?: number): Promise<void>;
  reset(): Promise<void>;
  host: MediumHost;
  /** Where the tray moved since the last call. */
  tray(): Promise<string>;
  note(key: string, value: string): void;
  log: readonly string[];
}

const READY = [0x00];
const SENSE: [number[], number] = [[0x03, 0, 0, 0, 18], 18];
const EVENT: [number[], number] = [[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 16], 8];
const CONFIGURATION: [number[], number] = [[0x46, 0, 0, 0, 0, 0, 0, 0, 8], 8];
const CAPACITY: [number[], number] = [[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8];
const TOC: [number[], number] = [[0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0], 20];
const INQUIRY: [number[], number] = [[0x12, 0, 0, 0, 36, 0], 36];
const READ = (lba: number): [number[], number] => [[0x28, 0, 0, 0, lba >> 8, lba & 255, 0, 0, 1, 0], 2048];
const PREVENT = (locked: boolean): number[] => [0x1e, 0, 0, 0, locked ? 1 : 0, 0];
const TRAY = (bits: number): number[] => [0x1b, 0, 0, 0, bits, 0];
const EJECT = TRAY(2);
const LOAD = TRAY(3);

class Script {
  readonly #drive: Drive;
  constructor(drive: Drive) {
    this.#drive = drive;
  }

  async host(command: MediumCommand): Promise<void> {
    const drive = this.#drive;
    drive.note(`host ${JSON.stringify(command)}`, await drive.host(command));
    drive.note('tray', await drive.tray());
  }

  async guest(...commands: (readonly number[] | [number[], number])[]): Promise<void> {
    for (const command of commands) {
      const [first, second] = command;
      if (typeof first === 'number') await this.#drive.packet(command as number[]);
      else await this.#drive.packet(first, second);
    }
    this.#drive.note('tray', await this.#drive.tray());
  }

  reset(): Promise<void> {
    return this.#drive.reset();
  }

  /** As many as there may be unit attentions and "no medium"s. */
  async settle(): Promise<void> {
    for (let n = 0; n < 4; n++) await this.guest(READY, SENSE);
  }
}

type Scenario = (script: Script) => Promise<void>;

const SCENARIOS: readonly [string, Scenario][] = [
  [
    'eject and insert by the host, a guest that does not ask for events',
    async (s) => {
      await s.settle();
      await s.guest(CAPACITY, READ(3));
      await s.host({ do: 'eject' });
      await s.settle();
      await s.guest(CAPACITY, READ(3), TOC, CONFIGURATION, EVENT);
      await s.host({ do: 'insert', disc: 1 });
      await s.guest(READY, EVENT, READ(0));
      await s.host({ do: 'close' });
      await s.settle();
      await s.guest(CAPACITY, READ(3), READ(127), TOC, CONFIGURATION, EVENT, EVENT);
    },
  ],
  [
    'PREVENT ALLOW MEDIUM REMOVAL: the guest is asked, and opens the tray itself',
    async (s) => {
      await s.settle();
      await s.guest(EVENT, PREVENT(true), EJECT, SENSE);
      await s.host({ do: 'eject' });
      await s.guest(READ(1), EVENT, EVENT, READY);
      await s.host({ do: 'open' });
      await s.guest(PREVENT(false), EVENT, EJECT, EVENT, READY, SENSE);
      await s.host({ do: 'remove' });
      await s.host({ do: 'insert', disc: 2 });
      await s.guest(LOAD);
      await s.settle();
      await s.guest(EVENT, CAPACITY, READ(300), EVENT);
    },
  ],
  [
    'force: the lock does not hold',
    async (s) => {
      await s.settle();
      await s.guest(PREVENT(true));
      await s.host({ do: 'eject', force: true });
      await s.guest(EVENT, READY, SENSE, EVENT);
      await s.host({ do: 'close' });
      await s.guest(EVENT, READY, SENSE, READY, SENSE, EVENT, CONFIGURATION);
      await s.guest(PREVENT(true), EJECT, SENSE, PREVENT(false), EJECT, EVENT, LOAD);
    },
  ],
  [
    'a program has the disc open, as the guest of the lab: the host is refused, asks in vain, and uses force',
    async (s) => {
      await s.settle();
      await s.guest(PREVENT(true), READ(3));
      await s.host({ do: 'eject' });
      await s.host({ do: 'change', disc: 1 });
      await s.host({ do: 'open' });
      await s.guest(READ(4));
      await s.host({ do: 'eject', force: true });
      await s.guest(READ(5), SENSE, READ(5), SENSE);
      await s.host({ do: 'change', disc: 1 });
      await s.settle();
      await s.guest(READ(6), PREVENT(false));
      await s.host({ do: 'eject' });
    },
  ],
  [
    'blockdev-change-medium, with the events before everything else and without',
    async (s) => {
      await s.settle();
      await s.host({ do: 'change', disc: 1 });
      await s.guest(EVENT, EVENT, SENSE, READY, SENSE, READY, SENSE, READY, CAPACITY, READ(100));
      await s.host({ do: 'change', disc: 2 });
      // Its attention is fetched first (differs: ahci-attention).
      await s.guest(INQUIRY, CONFIGURATION, CAPACITY, CAPACITY, SENSE, CAPACITY, READ(500), EVENT);
      await s.guest(PREVENT(true));
      await s.host({ do: 'change', disc: 0 });
      await s.guest(EVENT);
      await s.host({ do: 'change', disc: 0, force: true });
      await s.settle();
    },
  ],
  [
    'what the host may not do',
    async (s) => {
      await s.settle();
      await s.host({ do: 'remove' });
      await s.host({ do: 'insert', disc: 1 });
      await s.host({ do: 'close' });
      await s.host({ do: 'open' });
      await s.host({ do: 'open' });
      await s.host({ do: 'insert', disc: 1 });
      await s.guest(READY, EVENT);
      await s.host({ do: 'close' });
      await s.settle();
      await s.guest(READ(2), EVENT);
      await s.host({ do: 'eject' });
      await s.host({ do: 'eject' });
      await s.host({ do: 'remove' });
    },
  ],
  [
    'a reset closes the tray, and unlocks it',
    async (s) => {
      await s.settle();
      await s.guest(PREVENT(true));
      await s.reset();
      await s.guest(EJECT);
      await s.reset();
      await s.settle();
      await s.guest(EJECT, EVENT);
      await s.host({ do: 'change', disc: 1 });
      await s.reset();
      await s.settle();
      await s.guest(EVENT, CAPACITY, READ(1));
    },
  ],
];

interface Machine {
  board: Board;
  drive: RemovableDrive;
  trace: TraceRing;
}

interface Kind {
  name: string;
  machine: 'pc' | 'q35';
  devices: readonly string[];
  platter: (disc: BlockNode) => Machine;
  qemu: (qtest: QTest) => Board;
  hands: (board: Board) => Promise<Pick<Drive, 'packet' | 'reset' | 'note' | 'log'>>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'scsi-cd on virtio-scsi',
    machine: 'q35',
    devices: [
      'virtio-scsi-pci,id=s0,addr=4,disable-legacy=on',
      'scsi-cd,id=cd,bus=s0.0,drive=disc,scsi-id=0,lun=0',
    ],
    platter: (node) => {
      const { board, device } = platterScsiBoard();
      const unit = new ScsiDisk({ node, kind: 'cdrom', deviceId: 'disc' });
      device.attach(0, 0, unit);
      if (unit.drive === undefined) throw new Error('a CD-ROM drive has a tray');
      return { board, drive: unit.drive, trace: device.trace };
    },
    qemu: qemuBoard,
    hands: async (board) => {
      const driver = new ScsiScriptDriver(board);
      await driver.start();
      return {
        packet: async (cdb, into = 0) =>
          void (await driver.command({ cdb: [...cdb, 0, 0, 0, 0, 0, 0], into })),
        reset: () => driver.tmf(5, 0, 0),
        note: (key, value) => driver.note(key, value),
        log: driver.log,
      };
    },
  },
  {
    name: 'ide-cd on PIIX3',
    machine: 'pc',
    devices: ['ide-cd,id=cd,drive=disc,bus=ide.1,unit=0'],
    platter: (node) => {
      const { board, device, trace } = platterPcMachine([undefined, undefined, { kind: 'cd', node }]);
      return { board, drive: removableDrive(device.channels[1].drives[0]), trace };
    },
    qemu: qemuPc,
    hands: async (board) => {
      const driver = new IdeScript(board, 'piix3-ide');
      await driver.assign();
      driver.channel = 1;
      await driver.out(6, 0xa0);
      return {
        packet: (cdb) => driver.packet(cdb),
        reset: () => driver.reset(),
        note: (key, value) => driver.note(key, value),
        log: driver.log,
      };
    },
  },
  {
    name: 'ide-cd on AHCI',
    machine: 'q35',
    devices: ['ide-cd,id=cd,drive=disc,bus=ide.2'],
    platter: (node) => {
      const { board, device, trace } = platterQ35Machine([undefined, undefined, { kind: 'cd', node }]);
      return { board, drive: removableDrive(device.ports[2].drive), trace };
    },
    qemu: qemuBoard,
    hands: async (board) => {
      const driver = new AhciScript(board);
      await driver.assign();
      await driver.enableMsi();
      driver.port = 2;
      await driver.start();
      return {
        packet: (cdb, into = 0) =>
          driver.run({
            command: CMD.packet,
            feature: 1,
            packet: cdb,
            device: 0xa0,
            pieces: into === 0 ? [] : [{ address: DATA_AT, bytes: into }],
          }),
        reset: async () => {
          await driver.setRegister(0x2c, 1);
          await driver.setRegister(0x2c, 0);
          await driver.start();
        },
        note: (key, value) => driver.note(key, value),
        log: driver.log,
      };
    },
  },
];

/** The trace's own record of the tray, from one call to the next. */
function trayWatch(trace: TraceRing): () => string {
  let seen = trace.total;
  return () => {
    const moved: string[] = [];
    for (; seen < trace.total; seen++) {
      const { event, args } = decodeRow(trace.copy([seen]), 0);
      if (event === E.DEVICE_TRAY_MOVED) moved.push(args[0] === 1 ? 'open' : 'closed');
    }
    return moved.join(' ');
  };
}

let folder: string;
const discs: QemuDisc[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-medium-'));
  for (const [i, content] of CONTENT.entries()) {
    const filename = join(folder, `disc${i}`);
    await writeFile(filename, content);
    discs.push({ filename, node: `node${i}` });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function onQemu(
  { machine, devices, qemu, hands }: Kind,
  scenario: Scenario,
): Promise<readonly string[]> {
  const nodes = discs.flatMap(({ filename, node }) => [
    '-blockdev',
    `driver=raw,read-only=on,node-name=${node},file.driver=file,file.filename=${filename}`,
  ]);
  const drive = ['-drive', `file=${discs[0].filename},if=none,id=disc,format=raw,read-only=on`];
  const qtest = await QTest.start(
    join(folder, 'q.sock'),
    [
      ...nodes,
      ...drive,
      ...devices.flatMap((device) => ['-device', device]),
      '-qmp',
      `unix:${join(folder, 'qmp.sock')},server=on,wait=off`,
    ],
    machine,
  );
  try {
    if (machine === 'pc') await qtest.ask('irq_intercept_in ioapic');
    const qmp = await Qmp.connect(join(folder, 'qmp.sock'));
    const held = await hands(qemu(qtest));
    // An answer of QMP is behind the events before it.
    const tray = async (): Promise<string> => {
      await qmp.ask('query-status');
      return qemuTray(qmp);
    };
    await scenario(new Script({ ...held, host: qemuMedium(qmp, 'cd', discs), tray }));
    qmp.close();
    return held.log;
  } finally {
    await qtest.close();
  }
}

async function onPlatter({ platter, hands }: Kind, scenario: Scenario): Promise<readonly string[]> {
  const nodes = CONTENT.map((content) => {
    const node = arrayNode(content.length, true);
    node.disk.set(content);
    return node;
  });
  const { board, drive, trace } = platter(nodes[0]);
  const held = await hands(board);
  const watch = trayWatch(trace);
  await scenario(
    new Script({ ...held, host: platterMedium(drive, nodes), tray: () => Promise.resolve(watch()) }),
  );
  return held.log;
}

describe.each(KINDS)('$name beside QEMU: a medium that changes', (kind) => {
  it.each(SCENARIOS)('%s', async (_, scenario) => {
    const qemu = await onQemu(kind, scenario);
    const platter = await onPlatter(kind, scenario);
    expect(qemu.length).toBeGreaterThan(20);
    expect(platter).toEqual(qemu);
  });
});
