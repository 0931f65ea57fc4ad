/** A disk behind a bridge and behind a root port: configuration cycles and windows, Platter's and QEMU's. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AccessSize } from '#engine/machine/address-space.ts';
import { BRIDGE } from '#engine/machine/pci/bridge.ts';
import { PCI } from '#engine/machine/pci/function.ts';
import { ECAM_BASE } from '#engine/machine/pci/root.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { BRIDGE_SLOT, platterBridgeBoard } from './blk-board.ts';
import { qemuBoard, SLOT, type Board } from './board.ts';
import { QTest } from './qtest.ts';

const DISK_BYTES = 1024 * 1024;
const BAR = 0xe000_0000;
const MODERN_BAR = 0x20;

class Script {
  readonly log: string[] = [];
  readonly board: Board;
  readonly slot: number;
  constructor(board: Board, slot: number) {
    this.board = board;
    this.slot = slot;
  }
  async config(bus: number, slot: number, at: number, size: AccessSize): Promise<number> {
    await this.board.portWrite(0xcf8, 4, (0x8000_0000 | (bus << 16) | (slot << 11) | (at & 0xfc)) >>> 0);
    return this.board.portRead(0xcfc + (at & 3), size);
  }
  async set(bus: number, slot: number, at: number, size: AccessSize, value: number): Promise<void> {
    await this.board.portWrite(0xcf8, 4, (0x8000_0000 | (bus << 16) | (slot << 11) | (at & 0xfc)) >>> 0);
    await this.board.portWrite(0xcfc + (at & 3), size, value);
  }
  bridge(at: number, size: AccessSize, value: number): Promise<void> {
    return this.set(0, BRIDGE_SLOT, at, size, value);
  }
  note(what: string, value: number): void {
    this.log.push(`${what} = 0x${value.toString(16)}`);
  }
  async number(bus: number): Promise<void> {
    await this.bridge(BRIDGE.secondaryBus, 1, bus);
    await this.bridge(BRIDGE.subordinateBus, 1, bus);
  }
  /** Puts the device's modern BAR in its place; the bridge lets nothing through yet. */
  async place(bus: number, address: number, upper = 0): Promise<void> {
    await this.set(bus, this.slot, MODERN_BAR, 4, address);
    await this.set(bus, this.slot, MODERN_BAR + 4, 4, upper);
    await this.set(bus, this.slot, PCI.command, 2, 7);
  }
  async features(what: string, address = BAR): Promise<void> {
    const found = await this.board.read(address + REGION.common + COMMON.deviceFeature, 4);
    // What nobody answers reads as all ones on a bus, and as 0 through qtest.
    this.note(what, found === 0xffff_ffff ? 0 : found);
  }
}

describe.each([
  { bridge: 'pci-bridge', options: 'chassis_nr=1,shpc=off', slot: SLOT },
  { bridge: 'pcie-root-port', options: 'chassis=1', slot: 0 },
])('behind a $bridge', ({ bridge, options, slot }) => {
  let folder: string;
  let boards: Board[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platter-bridge-'));
    await writeFile(join(folder, 'disk.img'), new Uint8Array(DISK_BYTES));
    const qtest = await QTest.start(join(folder, 'q.sock'), [
      '-drive',
      `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
      '-device',
      `${bridge},id=b1,addr=${BRIDGE_SLOT},${options}`,
      '-device',
      `virtio-blk-pci,bus=b1,drive=d0,addr=${slot},disable-legacy=on`,
    ]);
    boards = [platterBridgeBoard(arrayNode(DISK_BYTES), bridge), qemuBoard(qtest)];
  });

  afterEach(async () => {
    for (const board of boards.splice(0)) await board.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function same(script: (on: Script) => Promise<void>): Promise<void> {
    const logs: string[][] = [];
    for (const board of boards) {
      const on = new Script(board, slot);
      await script(on);
      logs.push(on.log);
    }
    expect(logs[1].length).toBeGreaterThan(0);
    expect(logs[0]).toEqual(logs[1]);
  }

  it('identity, and what of the windows can be written', async () => {
    await same(async (on) => {
      for (const at of [PCI.vendor, PCI.classCode - 1, PCI.headerType - 2]) {
        on.note(`header ${at}`, await on.config(0, BRIDGE_SLOT, at, 4));
      }
      const registers = [0x18, 0x20, 0x24, 0x28, 0x2c];
      for (const at of registers) on.note(`fresh ${at}`, await on.config(0, BRIDGE_SLOT, at, 4));
      for (const at of registers) await on.bridge(at, 4, 0xffff_ffff);
      for (const at of registers) on.note(`ones ${at}`, await on.config(0, BRIDGE_SLOT, at, 4));
      for (const at of [BRIDGE.ioBase, BRIDGE.ioLimit]) {
        await on.bridge(at, 1, 0xff);
        on.note(`ones ${at}`, await on.config(0, BRIDGE_SLOT, at, 1));
      }
    });
  });

  it('configuration cycles follow the bus numbers, by ports and by ECAM', async () => {
    await same(async (on) => {
      on.note('bus 1 before it has a number', await on.config(1, slot, PCI.vendor, 4));
      await on.number(1);
      on.note('bus 1', await on.config(1, slot, PCI.vendor, 4));
      on.note('bus 1, a slot without anything', await on.config(1, slot + 1, PCI.vendor, 4));
      on.note('bus 2', await on.config(2, slot, PCI.vendor, 4));
      await on.number(7);
      on.note('bus 1 afterwards', await on.config(1, slot, PCI.vendor, 4));
      on.note('bus 7', await on.config(7, slot, PCI.vendor, 4));
    });
  });

  it('memory reaches the device through a window only', async () => {
    await same(async (on) => {
      await on.number(1);
      await on.place(1, BAR);
      await on.features('without a window');
      await on.bridge(BRIDGE.memoryBase, 2, BAR >>> 16);
      await on.bridge(BRIDGE.memoryLimit, 2, BAR >>> 16);
      await on.features('with a window, not decoded');
      await on.bridge(PCI.command, 2, 7);
      await on.features('with a window');
      await on.bridge(BRIDGE.memoryBase, 2, (BAR >>> 16) + 0x10);
      await on.features('with base above limit');
      await on.bridge(BRIDGE.prefetchBase, 2, BAR >>> 16);
      await on.bridge(BRIDGE.prefetchLimit, 2, BAR >>> 16);
      await on.features('through the prefetchable window');
      await on.place(1, BAR + 0x100_0000);
      await on.features('moved out of the window, at its old place');
      await on.features('moved out of the window', BAR + 0x100_0000);
      await on.bridge(BRIDGE.prefetchLimit, 2, (BAR + 0x100_0000) >>> 16);
      await on.features('in a larger window', BAR + 0x100_0000);
      await on.place(1, 0, 8);
      await on.bridge(BRIDGE.prefetchBase, 2, 0);
      await on.bridge(BRIDGE.prefetchLimit, 2, 0);
      await on.bridge(BRIDGE.prefetchBaseUpper, 4, 8);
      await on.bridge(BRIDGE.prefetchLimitUpper, 4, 8);
      await on.features('above 4 GiB', 8 * 2 ** 32);
    });
  });
});

it('every slot of 256 buses is in ECAM, and empty ones read as all ones', async () => {
  const board = platterBridgeBoard(arrayNode(DISK_BYTES), 'pci-bridge');
  await board.portWrite(0xcf8, 4, (0x8000_0000 | (BRIDGE_SLOT << 11) | 0x18) >>> 0);
  await board.portWrite(0xcfc, 4, 0x00ff_ff00);
  const at = (bus: number, slot: number): number => ECAM_BASE + bus * 0x10_0000 + slot * 0x8000;
  expect(await board.read(at(0, BRIDGE_SLOT), 4)).toBe(0x0001_1b36);
  expect(await board.read(at(255, SLOT), 4)).toBe(0x1042_1af4);
  expect(await board.read(at(254, SLOT), 4)).toBe(0xffff_ffff);
});
