/** A QEMU under qtest whose machine runs, as far as a virtual CPU that halts at once does: for what only a running machine can do. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Qmp, type QmpEvent } from './qmp.ts';
import { QTest } from './qtest.ts';

/** Bytes of a firmware that is made of HLT alone; interrupts are off after reset. */
const FIRMWARE_BYTES = 65536;
const HLT = 0xf4;
const PATIENCE = 20_000;

export class RunningQemu {
  readonly qtest: QTest;
  readonly qmp: Qmp;
  #events: QmpEvent[] = [];

  private constructor(qtest: QTest, qmp: Qmp) {
    this.qtest = qtest;
    this.qmp = qmp;
  }

  static async start(folder: string, options: readonly string[], machine: string): Promise<RunningQemu> {
    const firmware = join(folder, 'halt.bin');
    await writeFile(firmware, new Uint8Array(FIRMWARE_BYTES).fill(HLT));
    const socket = join(folder, 'qmp.sock');
    const qtest = await QTest.start(
      join(folder, 'q.sock'),
      [...options, '-bios', firmware, '-qmp', `unix:${socket},server=on,wait=off`],
      machine,
    );
    const qmp = await Qmp.connect(socket);
    await qmp.ask('cont');
    return new RunningQemu(qtest, qmp);
  }

  /** Waits for the next event of this name, and takes it. */
  async event(name: string): Promise<QmpEvent['data']> {
    const until = Date.now() + PATIENCE;
    for (;;) {
      this.#events.push(...this.qmp.takeEvents());
      const at = this.#events.findIndex((event) => event.name === name);
      if (at >= 0) return this.#events.splice(at, 1)[0].data;
      if (Date.now() > until) throw new Error(`QEMU did not tell of ${name} within ${PATIENCE} ms`);
      await sleep(5);
    }
  }

  async status(): Promise<string> {
    return ((await this.qmp.ask('query-status')) as { status: string }).status;
  }

  async close(): Promise<void> {
    this.qmp.close();
    await this.qtest.close();
  }
}
