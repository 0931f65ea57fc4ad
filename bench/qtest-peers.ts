/** The devices that are measured beside QEMU's: how each side is built, and one 4 KiB read through registers and memory. */
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { BM, BM_COMMAND } from '#engine/ide/bus-master.ts';
import { CMD } from '#engine/ide/ata.ts';
import { PORT } from '#engine/ide/ahci/registers.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { platterQ35 } from '../tests/differential/ahci-board.ts';
import { AhciScript, DATA_AT as AHCI_DATA } from '../tests/differential/ahci-driver.ts';
import { platterBoard, platterMmioBoard } from '../tests/differential/blk-board.ts';
import { PLAIN, RING_PACKED } from '../tests/differential/blk-script.ts';
import type { Board } from '../tests/differential/board.ts';
import { MmioScript, PACKED, ScriptDriver } from '../tests/differential/driver.ts';
import { platterPc } from '../tests/differential/ide-board.ts';
import { DATA_AT, IdeScript } from '../tests/differential/ide-driver.ts';
import { platterScsiBoard } from '../tests/differential/virtio-scsi-board.ts';
import { rw } from '../tests/differential/virtio-scsi-cases.ts';
import { ScsiScriptDriver } from '../tests/differential/virtio-scsi-driver.ts';

export const BYTES = 4096;
const SECTORS = BYTES / 512;
const LBA = 0xe0;
const ALL = 0xffff_ffff;
const DATA_REQUEST = 0x08;

/** Reads 4 KiB from the sector on. */
type Read = (sector: number) => Promise<void>;

export interface QtestPeer {
  what: string;
  /** What `-machine` says. */
  machine: string;
  /** QEMU's options for a device whose drive is `d0`. */
  options: readonly string[];
  platter(node: ReturnType<typeof arrayNode>): Board;
  /** Sets the device up through the board. */
  open(board: Board): Promise<Read>;
}

const device = (option: string): string[] => ['-device', option];
const SCSI_DISK = device('scsi-hd,bus=s0.0,drive=d0');
const IDE_DISK = device('ide-hd,drive=d0,bus=ide.0');

function scsiPeer(packed: boolean): QtestPeer {
  const how = packed ? 'on' : 'off';
  return {
    what: packed ? 'virtio-scsi, packed' : 'virtio-scsi',
    machine: 'q35',
    options: [...device(`virtio-scsi-pci,id=s0,addr=4,disable-legacy=on,packed=${how}`), ...SCSI_DISK],
    platter: (node) => {
      const host = platterScsiBoard({ packed });
      host.device.attach(0, 0, new ScsiDisk({ node, kind: 'disk' }));
      return host.board;
    },
    open: async (board) => {
      const driver = new ScsiScriptDriver(board, { transport: 'pci', packed });
      await driver.start();
      await driver.command({ cdb: [0, 0, 0, 0, 0, 0] });
      return async (sector) => void (await driver.command({ cdb: rw.read10(sector, SECTORS), into: BYTES }));
    },
  };
}

async function ideDriver(board: Board): Promise<IdeScript> {
  const driver = new IdeScript(board, 'piix3-ide');
  await driver.assign();
  return driver;
}
const ide = {
  machine: 'pc',
  options: IDE_DISK,
  platter: (node: ReturnType<typeof arrayNode>) => platterPc([{ kind: 'hd', node }], 'piix3-ide'),
};

export const PEERS: readonly QtestPeer[] = [
  {
    what: 'virtio-blk',
    machine: 'q35',
    options: device('virtio-blk-pci,drive=d0,addr=4,disable-legacy=on'),
    platter: (node) => platterBoard(node, {}),
    open: async (board) => {
      const driver = new ScriptDriver(board);
      await driver.find();
      await driver.initialise(PLAIN);
      return (sector) => driver.read(sector, BYTES);
    },
  },
  {
    what: 'virtio-blk, packed',
    machine: 'q35',
    options: device('virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,packed=on'),
    platter: (node) => platterBoard(node, { packed: true }),
    open: async (board) => {
      const driver = new ScriptDriver(board, PACKED);
      await driver.find();
      await driver.initialise([PLAIN[0], PLAIN[1] | RING_PACKED]);
      return (sector) => driver.read(sector, BYTES);
    },
  },
  {
    what: 'virtio-blk over MMIO',
    machine: 'microvm,ioapic2=off',
    options: ['-global', 'virtio-mmio.force-legacy=off', ...device('virtio-blk-device,drive=d0')],
    platter: (node) => platterMmioBoard(node, {}, false),
    open: async (board) => {
      const driver = new MmioScript(board, false);
      await driver.initialise(PLAIN);
      return (sector) => driver.read(sector, BYTES);
    },
  },
  scsiPeer(false),
  scsiPeer(true),
  {
    ...ide,
    what: 'IDE, PIO',
    open: async (board) => {
      const driver = await ideDriver(board);
      return async (sector) => {
        await driver.load({ count: SECTORS, lba: sector, device: LBA });
        await driver.out(7, CMD.read);
        for (let i = 0; i < SECTORS; i++) {
          await driver.settle(async (status) => (status & DATA_REQUEST) !== 0);
          await driver.in(7);
          await driver.take(512);
        }
      };
    },
  },
  {
    ...ide,
    what: 'IDE, DMA',
    open: async (board) => {
      const driver = await ideDriver(board);
      await driver.table([{ address: DATA_AT, bytes: BYTES }]);
      return async (sector) => {
        await driver.load({ count: SECTORS, lba: sector, device: LBA });
        await driver.out(7, CMD.readDma);
        await driver.run(true);
        await driver.master(BM.status);
        await driver.setMaster(BM.command, BM_COMMAND.toMemory);
        await driver.in(7);
        await board.readBytes(DATA_AT, BYTES);
      };
    },
  },
  {
    what: 'AHCI',
    machine: 'q35',
    options: IDE_DISK,
    platter: (node) => platterQ35([{ kind: 'hd', node }]),
    open: async (board) => {
      const driver = new AhciScript(board);
      await driver.assign();
      await driver.start();
      const pieces = [{ address: AHCI_DATA, bytes: BYTES }];
      return async (sector) => {
        await driver.prepare(0, { command: CMD.readDma, count: SECTORS, lba: sector, pieces });
        await driver.setRegister(PORT.ci, 1);
        await driver.wait(1);
        await driver.setRegister(PORT.is, ALL);
        await driver.setGlobal(8, ALL);
        await board.readBytes(AHCI_DATA, BYTES);
      };
    },
  },
];
