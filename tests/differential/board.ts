/**
 * One interface to two machines, Platter's (machine-board.ts) and QEMU's over qtest: a script of register and memory operations runs on
 * both and must get the same answers.
 */
import type { AccessSize } from '#engine/machine/address-space.ts';
import type { QTest } from './qtest.ts';

/** PCI slot of the device on both machines. */
export const SLOT = 4;
/** Where a virtio-mmio transport of QEMU's microvm lies: the last of eight, which takes the first device. */
export const MMIO_AT = 0xfeb0_0e00;

export interface Board {
  readonly name: 'platter' | 'qemu';
  portRead(port: number, size: AccessSize): Promise<number>;
  portWrite(port: number, size: AccessSize, value: number): Promise<void>;
  /** A register or memory, whichever lies at the address. */
  read(address: number, size: AccessSize): Promise<number>;
  write(address: number, size: AccessSize, value: number): Promise<void>;
  readBytes(address: number, length: number): Promise<Uint8Array>;
  writeBytes(address: number, bytes: Uint8Array): Promise<void>;
  /** Changes of the level of the device's interrupt line since the last call. */
  lines(): Promise<string[]>;
  /** Waits until the host has done all that it was asked for so far. Left out: an access returns when that is so, or nobody needs it. */
  drain?(): Promise<void>;
  close(): Promise<void>;
}

/** QEMU's side. `io-apic` inputs tell of the line; PIRQ E–H of q35 are 20–23. */
export function qemuBoard(qtest: QTest): Board {
  const suffix = { 1: 'b', 2: 'w', 4: 'l' } as const;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return {
    name: 'qemu',
    portRead: async (port, size) => Number(await qtest.ask(`in${suffix[size]} ${hex(port)}`)),
    portWrite: async (port, size, value) =>
      void (await qtest.ask(`out${suffix[size]} ${hex(port)} ${hex(value)}`)),
    read: async (address, size) => Number(await qtest.ask(`read${suffix[size]} ${hex(address)}`)),
    write: async (address, size, value) =>
      void (await qtest.ask(`write${suffix[size]} ${hex(address)} ${hex(value)}`)),
    readBytes: async (address, length) =>
      new Uint8Array(Buffer.from(await qtest.ask(`b64read ${hex(address)} ${hex(length)}`), 'base64')),
    writeBytes: async (address, bytes) =>
      void (await qtest.ask(
        `b64write ${hex(address)} ${hex(bytes.length)} ${Buffer.from(bytes).toString('base64')}`,
      )),
    lines: async () => {
      await qtest.ask('inl 0xcf8');
      return qtest.takeInterrupts().map((line) => line.replace(/ \d+$/, ''));
    },
    close: () => qtest.close(),
  };
}
