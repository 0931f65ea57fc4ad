/** Two PCs with an IDE controller of the PIIX3 or the PIIX4: Platter's, and QEMU's over qtest. */
import type { IdeDriveOptions } from '#engine/ide/options.ts';
import { PiixIde, type PiixIdeOptions } from '#engine/ide/piix.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import type { TraceRing } from '#engine/trace/ring.ts';
import { qemuBoard, type Board } from './board.ts';
import { machine } from './machine-board.ts';
import type { Qmp } from './qmp.ts';
import type { QTest } from './qtest.ts';

/** Where each controller is on both machines: the PIIX3's is part of QEMU's `pc`; a `q35` has numbered its twelve SATA drives before. */
export const IDE_PLACE = {
  'piix3-ide': { slot: 1, function: 1, firstNumber: 1 },
  'piix4-ide': { slot: 5, function: 0, firstNumber: 13 },
} as const;
export type IdeModel = keyof typeof IDE_PLACE;
export const IDE_MODELS = Object.keys(IDE_PLACE) as readonly IdeModel[];

/** QEMU's side; the lines of the I/O APIC are told with their numbers. */
export function qemuPc(qtest: QTest, qmp?: Qmp): Board {
  return {
    ...qemuBoard(qtest),
    // `stop` ends in `bdrv_drain_all`, whether the machine runs or not (softmmu/cpus.c, do_vm_stop).
    ...(qmp === undefined ? {} : { drain: async () => void (await qmp.ask('stop')) }),
    close: async () => {
      qmp?.close();
      await qtest.close();
    },
    lines: async () => {
      await qtest.ask('inl 0xcf8');
      return qtest.takeInterrupts();
    },
  };
}

export const platterPc = (drives: readonly (IdeDriveOptions | undefined)[], model: IdeModel): Board =>
  platterPcMachine(drives, model).board;

export function platterPcMachine(
  drives: readonly (IdeDriveOptions | undefined)[],
  model: IdeModel = 'piix3-ide',
  errors: Pick<PiixIdeOptions, 'runState' | 'onIoError'> = {},
): { board: Board; device: PiixIde; trace: TraceRing } {
  const { memory, space, io, trace, board } = machine(() => device.process());
  const levels: string[] = [];
  const device = new PiixIde({
    name: 'ide',
    model,
    firstNumber: IDE_PLACE[model].firstNumber,
    memory,
    trace,
    io,
    host: new HostIo(trace),
    interrupts: { isa: (irq, level) => void levels.push(`IRQ ${level ? 'raise' : 'lower'} ${irq}`) },
    drives,
    ...errors,
  });
  device.reset();
  new PciRoot(space, io).plug(device.pci, IDE_PLACE[model].slot, IDE_PLACE[model].function);
  return {
    device,
    trace,
    board: {
      ...board,
      // A read of the data port can begin the next transfer.
      portRead: async (port, size) => {
        const value = io.read(port, size);
        device.process();
        return value;
      },
      lines: async () => levels.splice(0),
    },
  };
}
