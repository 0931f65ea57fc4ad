/** The guests of io-errors.test.ts: what each does on its disk, a command at a time, beside a host whose requests fail. */
import { PORT } from '#engine/ide/ahci/registers.ts';
import { CMD } from '#engine/ide/ata.ts';
import { AhciScript, DATA_AT as AHCI_DATA } from './ahci-driver.ts';
import type { Board } from './board.ts';
import { DATA_AT, IdeScript } from './ide-driver.ts';
import { pattern, rw } from './virtio-scsi-cases.ts';
import { ScsiScriptDriver } from './virtio-scsi-driver.ts';

/** The first read of this sector fails, the first write of the next one, and the first flush. */
export const BAD = 64;

/** One command: begun, looked at while the machine stands still, and ended. */
export interface Step {
  begin: () => Promise<void>;
  still: () => Promise<void>;
  /** `quiet`: it failed, and what it read may be anything (differs: failed-data). */
  end: (quiet: boolean) => Promise<void>;
}

/** The commands of a machine's guest: the first three fail, the others show what is on the disk then. */
export interface Guest {
  note: (line: string) => void;
  log: readonly string[];
  failing: readonly (readonly [string, Step])[];
  afterwards: () => Promise<void>;
}

// ---- SCSI ----

export async function scsiGuest(board: Board): Promise<Guest> {
  const driver = new ScsiScriptDriver(board);
  await driver.start();
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0] });
  const step = (script: Parameters<ScsiScriptDriver['begin']>[0]): Step => {
    let pending: Awaited<ReturnType<ScsiScriptDriver['begin']>> | undefined;
    return {
      begin: async () => void (pending = await driver.begin(script)),
      still: () => driver.noteInterrupts('still'),
      end: async (quiet) => {
        // differs: failed-data, retried-residual
        if (pending !== undefined) await driver.finish(pending, { withData: !quiet, withResidual: quiet });
      },
    };
  };
  return {
    note: (line) => driver.note(line, ''),
    log: driver.log,
    failing: [
      ['READ', step({ cdb: rw.read10(BAD - 1, 4), into: 2048 })],
      ['WRITE', step({ cdb: rw.write10(BAD, 3), out: pattern(1536, 9) })],
      ['SYNCHRONIZE CACHE', step({ cdb: [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0] })],
    ],
    afterwards: async () => void (await driver.command({ cdb: rw.read10(BAD - 2, 8), into: 4096 })),
  };
}

// ---- IDE ----

const LBA = 0xe0;
const WRITTEN = pattern(1536, 9);

export async function ideGuest(board: Board, dma: boolean): Promise<Guest> {
  const driver = new IdeScript(board, 'piix3-ide');
  await driver.assign();
  const asks = (status: number): Promise<boolean> => Promise.resolve((status & 0x09) !== 0);
  const over = (status: number): Promise<boolean> => Promise.resolve((status & 0x08) === 0);
  const still = (): Promise<void> => driver.noteRegisters('still');
  const pieces = [{ address: DATA_AT, bytes: 1536 }];
  const startMaster = async (toMemory: boolean): Promise<void> => {
    await driver.setMaster(2, 0x66);
    await driver.setMaster(0, toMemory ? 8 : 0);
    await driver.setMaster(0, toMemory ? 9 : 1);
  };
  const stopMaster = async (): Promise<void> => {
    await driver.setMaster(0, 0);
    await driver.setMaster(2, 0x66);
  };
  const dmaStep = (write: boolean): Step => ({
    begin: async () => {
      await driver.board.writeBytes(DATA_AT, write ? WRITTEN : new Uint8Array(1536));
      await driver.load({ count: 3, lba: write ? BAD : BAD - 1, device: LBA });
      await driver.table(pieces);
      await driver.out(7, write ? CMD.writeDma : CMD.readDma);
      await startMaster(!write);
    },
    still,
    end: async (quiet) => {
      await driver.settle(over);
      await driver.noteRegisters('end');
      await stopMaster();
      if (!quiet) driver.note('data', await board.readBytes(DATA_AT, 1536));
    },
  });
  const pioRead: Step = {
    begin: async () => {
      await driver.command(CMD.setMultiple, { count: 4, device: LBA });
      await driver.load({ count: 3, lba: BAD - 1, device: LBA });
      await driver.out(7, CMD.readMultiple);
    },
    still,
    end: async (quiet) => {
      await driver.settle(asks);
      await driver.noteRegisters('end');
      if (((await driver.alternate()) & 8) === 0) return;
      const data = await driver.take(1536);
      if (!quiet) driver.note('data', data);
    },
  };
  const pioWrite: Step = {
    begin: async () => {
      await driver.load({ count: 3, lba: BAD, device: LBA });
      await driver.out(7, CMD.writeMultiple);
      await driver.settle(asks);
      await driver.give(WRITTEN);
    },
    still,
    end: async () => {
      await driver.settle();
      await driver.noteRegisters('end');
    },
  };
  const flush: Step = {
    begin: () => driver.out(7, CMD.flushCache),
    still,
    end: async () => {
      await driver.settle();
      await driver.noteRegisters('end');
    },
  };
  return {
    note: (line) => driver.note(line, ''),
    log: driver.log,
    failing: [
      ['READ', dma ? dmaStep(false) : pioRead],
      ['WRITE', dma ? dmaStep(true) : pioWrite],
      ['FLUSH CACHE', flush],
    ],
    afterwards: () => driver.pioIn(CMD.read, { count: 8, lba: BAD - 2, device: LBA }),
  };
}

export async function discGuest(board: Board): Promise<Guest> {
  const driver = new IdeScript(board, 'piix3-ide');
  await driver.assign();
  await driver.out(6, 0xa0);
  for (let n = 0; n < 3; n++) await driver.packet([0]);
  const read: Step = {
    begin: async () => {
      await driver.load({ feature: 1, lba: 0 });
      await driver.table([{ address: DATA_AT, bytes: 4096 }]);
      await driver.out(7, CMD.packet);
      await driver.settle();
      await driver.give(Uint8Array.of(0x28, 0, 0, 0, 0, BAD / 4, 0, 0, 2, 0, 0, 0), 2);
      await driver.setMaster(2, 0x66);
      await driver.setMaster(0, 9);
    },
    still: () => driver.noteRegisters('still'),
    end: async (quiet) => {
      await driver.settle((status) => Promise.resolve((status & 8) === 0));
      await driver.noteRegisters('end');
      await driver.setMaster(0, 0);
      if (!quiet) driver.note('data', await board.readBytes(DATA_AT, 4096));
    },
  };
  return {
    note: (line) => driver.note(line, ''),
    log: driver.log,
    failing: [['READ(10) by DMA', read]],
    afterwards: () => driver.packet([0x28, 0, 0, 0, 0, BAD / 4, 0, 0, 1], 2048),
  };
}

// ---- AHCI ----

export async function ahciGuest(board: Board, queued: boolean): Promise<Guest> {
  const driver = new AhciScript(board);
  await driver.assign();
  await driver.enableMsi();
  await driver.start();
  const step = (command: number, write: boolean, count: number, lba: number): Step => {
    const tagged = queued && count > 0;
    return {
      begin: async () => {
        if (write) await board.writeBytes(AHCI_DATA, WRITTEN);
        await driver.prepare(0, {
          command,
          count: tagged ? 0 : count,
          feature: tagged ? count : 0,
          lba,
          device: tagged ? 0x40 : LBA,
          write,
          pieces: count === 0 ? [] : [{ address: AHCI_DATA, bytes: count * 512 }],
        });
        if (tagged) await driver.setRegister(PORT.sact, 1);
        await driver.setRegister(PORT.ci, 1);
      },
      still: () => driver.noteRegisters('still'),
      end: async (quiet) => {
        await driver.wait(1);
        await driver.noteEnd('end', [0]);
        if (!quiet) driver.note('data', await board.readBytes(AHCI_DATA, 1536));
        await driver.recover();
      },
    };
  };
  return {
    note: (line) => driver.note(line, ''),
    log: driver.log,
    failing: [
      ['READ', step(queued ? CMD.readFpdmaQueued : CMD.readDmaExt, false, 3, BAD - 1)],
      ['WRITE', step(queued ? CMD.writeFpdmaQueued : CMD.writeDmaExt, true, 3, BAD)],
      ['FLUSH CACHE', step(CMD.flushCacheExt, false, 0, 0)],
    ],
    afterwards: () =>
      driver.run({
        command: CMD.readDmaExt,
        count: 3,
        lba: BAD - 1,
        pieces: [{ address: AHCI_DATA, bytes: 1536 }],
      }),
  };
}
