/** What a script's driver needs of a virtio transport; pci-transport.ts and mmio-transport.ts are two. */
import type { QueueAddresses } from './script-ring.ts';
import type { Note } from './transcript.ts';

export type Access = 1 | 2 | 4;

export interface ScriptTransport {
  status(): Promise<number>;
  setStatus(value: number): Promise<void>;
  /** One half of the 64 feature bits. */
  offered(half: 0 | 1): Promise<number>;
  accept(half: 0 | 1, bits: number): Promise<void>;
  /** Gives the queue its size and addresses and makes it ready. */
  setUpQueue(queue: number, size: number, at: QueueAddresses): Promise<void>;
  /** Device configuration. */
  device(offset: number, size: Access): Promise<number>;
  setDevice(offset: number, size: Access, value: number): Promise<void>;
  notify(queue: number): Promise<void>;
  /** Writes down the interrupts since the last call, and takes them back. */
  noteInterrupts(label: string, note: Note): Promise<void>;
}

const STATUS = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8 } as const;

/** Reset and negotiation (section 3.1.1) up to the queues, which the caller sets up before `running`. */
export async function negotiate(
  transport: ScriptTransport,
  [low, high]: readonly [number, number],
  note: Note,
): Promise<void> {
  const { acknowledge, driver, featuresOk } = STATUS;
  await transport.setStatus(0);
  note('status after reset', await transport.status());
  for (const bits of [acknowledge, acknowledge | driver]) await transport.setStatus(bits);
  await transport.accept(0, low);
  await transport.accept(1, high);
  await transport.setStatus(acknowledge | driver | featuresOk);
  note('status with features', await transport.status());
}

export async function running(transport: ScriptTransport, note: Note): Promise<void> {
  const { acknowledge, driver, driverOk, featuresOk } = STATUS;
  await transport.setStatus(acknowledge | driver | featuresOk | driverOk);
  note('status running', await transport.status());
}
