/** Random scripts for the IDE controllers: any register at any time, as far as both sides must answer the same. */
import { BM, BM_COMMAND } from '#engine/ide/bus-master.ts';
import { CMD } from '#engine/ide/ata.ts';
import type { Random } from '#engine/guest/workload.ts';
import { DATA_AT, TABLE_AT, type IdeScript } from './ide-driver.ts';

const BUSY = 0x80;
const DATA_REQUEST = 0x08;
/**
 * A command is a chain of requests to the host, each begun when the one before it has ended. A drive that has not ended its command after
 * so many drains of the host, more than any command of a script has pieces, waits for something that will not come.
 */
const DRAINS = 64;

const DMA_CODES: readonly number[] = [
  CMD.readDma,
  CMD.readDmaOnce,
  CMD.readDmaExt,
  CMD.writeDma,
  CMD.writeDmaOnce,
  CMD.writeDmaExt,
  CMD.dataSetManagement,
];

/** Commands that may be sent with whatever the registers hold. INITIALIZE DEVICE PARAMETERS and PACKET have steps of their own. */
const CODES = Object.values(CMD).filter((code) => code !== CMD.initializeParameters && code !== CMD.packet);
const PACKETS = [
  [0x00],
  [0x03, 0, 0, 0, 18],
  [0x12, 0, 0, 0, 36],
  [0x25],
  [0x28, 0, 0, 0, 0, 7, 0, 0, 2],
  [0x28, 0, 0, 0, 1, 254, 0, 0, 3],
  [0x43, 2, 0, 0, 0, 0, 0, 0, 20],
  [0x4a, 1, 0, 0, 16, 0, 0, 0, 16],
  [0x5a, 0, 42, 0, 0, 0, 0, 0, 64],
  [0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0xf8],
  [0x1e, 0, 0, 0, 1],
  [0x1b, 0, 0, 0, 2],
  [0x1b, 0, 0, 0, 3],
  [0xee],
];

export class RandomScript {
  readonly #driver: IdeScript;
  readonly #pick: (most: number) => number;
  /** The last command moves data by DMA. */
  #dma = false;

  constructor(driver: IdeScript, random: Random) {
    this.#driver = driver;
    this.#pick = (most) => Math.floor(random.next() * most);
  }

  /** Platter's device has done all it can when an access returns; QEMU's goes on when the host has. False when that was often enough. */
  async #drain(drains: number): Promise<boolean> {
    const { board } = this.#driver;
    if (board.drain === undefined || drains >= DRAINS) return false;
    await board.drain();
    return true;
  }

  /** Waits until the drive is not busy; one that will be so for ever is reset. Answers whether it asks for data. */
  async #wantsData(): Promise<boolean> {
    const driver = this.#driver;
    for (let drains = 0; ; drains++) {
      const status = await driver.alternate();
      if ((status & BUSY) === 0) return (status & DATA_REQUEST) !== 0;
      if (await this.#drain(drains)) continue;
      driver.note('stuck', status);
      await driver.reset();
    }
  }

  /** Waits until nothing is under way that will end by itself. */
  async #quiet(): Promise<void> {
    for (let drains = 0; ; drains++) {
      const moving = (await this.#wantsData()) && this.#dma;
      if (!moving || ((await this.#driver.master(BM.status)) & 1) === 0) return;
      if (!(await this.#drain(drains))) return;
    }
  }

  async step(): Promise<void> {
    const pick = this.#pick;
    const driver = this.#driver;
    switch (pick(12)) {
      case 0:
        await driver.out(1 + pick(6), pick(4) === 0 ? pick(256) : pick(12));
        break;
      case 1:
      case 2:
      case 3:
        await this.#command();
        break;
      case 4:
      case 5:
        await this.#move();
        break;
      case 6:
        await this.#table();
        break;
      case 7:
        await driver.setMaster(BM.command, [0, 8, 1, 9, 9][pick(5)]);
        break;
      case 8:
        await driver.setMaster(BM.status, pick(256));
        break;
      case 9:
        await driver.control([0, 0, 2, 0x80, 4][pick(5)]);
        break;
      case 10:
        await this.#packet();
        break;
      default:
        await driver.out(6, [0xe0, 0xf0, 0xa0, 0x40][pick(4)]);
        if (pick(3) === 0) driver.channel = driver.channel === 0 ? 1 : 0;
    }
    await this.#quiet();
    if (pick(2) === 0) await driver.noteRegisters('random');
    else driver.note('alternate', await driver.alternate());
  }

  async #command(): Promise<void> {
    const pick = this.#pick;
    const driver = this.#driver;
    const common = [
      CMD.read,
      CMD.write,
      CMD.readDma,
      CMD.writeDma,
      CMD.readExt,
      CMD.writeDmaExt,
      CMD.identify,
    ];
    const code = pick(2) === 0 ? common[pick(common.length)] : CODES[pick(CODES.length)];
    if (pick(3) !== 0) {
      const lba = pick(6) === 0 ? pick(0x100_0000) : pick(64);
      await driver.load({ feature: pick(4), count: 1 + pick(6), lba }, pick(2) === 0);
    }
    driver.note('command', code);
    // A drive that asks for data takes no command.
    if (!(await this.#wantsData())) this.#dma = DMA_CODES.includes(code);
    if (pick(25) === 0) {
      await driver.load({ count: 1 + pick(40) });
      await driver.out(7, CMD.initializeParameters);
    } else {
      await driver.out(7, code);
    }
  }

  /** Data one access at a time, since each may end a block. */
  async #move(): Promise<void> {
    const pick = this.#pick;
    const driver = this.#driver;
    // Four bytes across two blocks of a disc: QEMU gives nothing, Platter has the whole piece in one buffer.
    const wide = driver.channel === 0 ? 4 : 2;
    const size = ([2, wide, 1] as const)[pick(8) === 0 ? 2 : pick(2)];
    const write = pick(2) === 0;
    const count = [1, 3, 128, 256][pick(4)];
    let sum = 0;
    for (let i = 0; i < count; i++) {
      if (!(await this.#wantsData())) break;
      if (write) await driver.out(0, (i * 0x0101_0101 + count) >>> 0, size);
      else sum = (sum * 31 + (await driver.in(0, size))) >>> 0;
    }
    driver.note(write ? 'given' : 'taken', sum);
  }

  async #table(): Promise<void> {
    const pick = this.#pick;
    const pieces = Array.from({ length: 1 + pick(4) }, (_, i) => ({
      address: DATA_AT + i * 0x1_0000 + pick(16),
      bytes: pick(3) === 0 ? pick(2000) : 512 * (1 + pick(4)),
    }));
    await this.#driver.table(pieces, pick(8) !== 0);
  }

  async #packet(): Promise<void> {
    const pick = this.#pick;
    const driver = this.#driver;
    const packet = PACKETS[pick(PACKETS.length)];
    const dma = pick(3) === 0;
    if (await this.#wantsData()) return;
    this.#dma = false;
    const limit = [2048, 0xfffe, 4096, 10, 0][pick(5)];
    await driver.load({ feature: dma ? 1 : 0, lba: limit << 8 });
    await driver.out(7, CMD.packet);
    if (!(await this.#wantsData())) return;
    driver.note('packet', packet[0]);
    await driver.give(
      Uint8Array.from({ length: 12 }, (_, i) => packet[i] ?? 0),
      2,
    );
    this.#dma = dma;
    if (dma) await driver.setMaster(BM.command, BM_COMMAND.start | BM_COMMAND.toMemory);
  }

  /** What the transfers left in guest memory. */
  async finish(): Promise<void> {
    const driver = this.#driver;
    driver.note('table', await driver.board.readBytes(TABLE_AT, 64));
    driver.note('memory', await driver.board.readBytes(DATA_AT, 0x4_0000));
  }
}
