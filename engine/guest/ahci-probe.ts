/**
 * How the guest's AHCI driver starts a controller, as Linux's ahci_init_one and libata: reset, what is at the ports, IDENTIFY and what a
 * CD-ROM drive answers to packets, and interrupts by message.
 */
import { PlatterError } from '../errors.ts';
import { FIS, FIS_COMMAND, GHC, HBA, PORT, SLOTS } from '../ide/ahci/registers.ts';
import { MSI_AT } from '../ide/ahci/hba.ts';
import { CMD, DEVICE, SECTOR } from '../ide/ata.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { COMRESET, FAILED, PACKET_FIS, RESTART, type AhciPort } from './ahci-port.ts';
import type { GuestAllocator } from './allocator.ts';
import { parseIdentity, PATIENCE, ULTRA_DMA_5, type Segment } from './ata.ts';
import { discCapacity, lockDoor } from './atapi.ts';
import type { GuestBus } from './bus.ts';

/** What the driver wants to hear of: FISes of registers, of PIO and of device bits, and everything fatal. */
const WANTED = 0x7d40_000b;
const APIC = 0xfee0_0000;
const MSI_ENABLE = 1;
/** Device signatures, as PxSIG shows them. */
const SIGNATURE = { disk: 0x101, packet: 0xeb14_0101 } as const;

/** The controller, and what the guest reaches it with. */
export interface AhciController {
  bus: GuestBus;
  memory: GuestMemory;
  allocator: GuestAllocator;
  /** Lets the device work until nothing is left to do, while the driver probes. */
  settle: () => void;
  /** Where the guest finds the function: its slot counted over all buses, and its number there. */
  slot: number;
  function: number;
  /** Where firmware put the registers. */
  registers: number;
  /** The vector of its message on the first CPU's local APIC. */
  vector: number;
}

export class AhciProbe {
  readonly #controller: AhciController;

  constructor(controller: AhciController) {
    this.#controller = controller;
  }

  /**
   * Reset of the controller, the ports, IDENTIFY, the transfer mode, interrupts by message. What it finds stands in the ports. Throws
   * guest.no-ata when a port has no drive, guest.reset-hangs when one does not answer.
   */
  find(ports: readonly AhciPort[]): void {
    const { bus, registers, slot, vector } = this.#controller;
    const number = this.#controller.function;
    bus.write(registers + HBA.ghc, 4, GHC.ahci | GHC.reset);
    for (const at of [HBA.cap, HBA.pi, HBA.vs]) bus.read(registers + at, 4);
    for (const port of ports) this.#findDrive(port);
    bus.configWrite(slot, MSI_AT + 4, 4, APIC, number);
    bus.configWrite(slot, MSI_AT + 8, 4, 0, number);
    bus.configWrite(slot, MSI_AT + 12, 2, vector, number);
    bus.configWrite(slot, MSI_AT + 2, 2, MSI_ENABLE, number);
    for (const port of ports) bus.write(port.registers + PORT.ie, 4, WANTED);
    bus.write(registers + HBA.ghc, 4, (GHC.ahci | GHC.interrupts) >>> 0);
  }

  /** Starts the port, asks what the drive is, and sets the transfer mode. */
  #findDrive(port: AhciPort): void {
    const { bus } = this.#controller;
    const { registers } = port;
    bus.write(registers + PORT.clb, 4, port.list);
    bus.write(registers + PORT.clbu, 4, 0);
    bus.write(registers + PORT.fb, 4, port.received);
    bus.write(registers + PORT.fbu, 4, 0);
    for (const value of RESTART) bus.write(registers + PORT.cmd, 4, value);
    for (const value of COMRESET) bus.write(registers + PORT.sctl, 4, value);
    const present = (bus.read(registers + PORT.ssts, 4) & 15) === 3;
    const signature = bus.read(registers + PORT.sig, 4);
    const packets = signature === SIGNATURE.packet;
    if (!present || (signature !== SIGNATURE.disk && !packets)) {
      const value = `ata${port.number + 1}`;
      throw new PlatterError('guest.no-ata', `there is no ATA disk at ${value}`, { field: 'PxSIG', value });
    }
    bus.write(registers + PORT.serr, 4, bus.read(registers + PORT.serr, 4));
    const page = this.#controller.allocator.take(SECTOR);
    port.answer = page;
    const identify = packets ? CMD.identifyPacket : CMD.identify;
    this.#polled(port, identify, 0, 0, [{ address: page, bytes: SECTOR }]);
    const bytes = new Uint8Array(SECTOR);
    this.#controller.memory.read(page, bytes);
    const identity = parseIdentity(bytes);
    const capacity = packets
      ? discCapacity((packet, most) => this.#polledPacket(port, packet, most))
      : identity.sectors * SECTOR;
    port.drive = { identity, packets, capacity };
    port.depth = packets ? 1 : Math.max(1, Math.min(SLOTS, identity.queue));
    this.#polled(port, CMD.setFeatures, 3, ULTRA_DMA_5, []);
    bus.write(registers + PORT.is, 4, 0xffff_ffff);
  }

  /** Locks or unlocks the doors of CD-ROM drives. */
  lockDoors(ports: readonly AhciPort[], locked: boolean): void {
    for (const port of ports) {
      if (port.drive.packets) lockDoor((packet, most) => this.#polledPacket(port, packet, most), locked);
    }
  }

  /** A packet in slot 0 while nothing else happens; its answer of `into` bytes, or undefined when it failed. */
  #polledPacket(port: AhciPort, packet: Uint8Array, into: number): Uint8Array | undefined {
    const { bus } = this.#controller;
    port.fill(0, PACKET_FIS, port.answerOf(into), false, packet);
    bus.write(port.registers + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#controller.settle();
      const failed = (bus.read(port.registers + PORT.is, 4) & FAILED) !== 0;
      const over = (bus.read(port.registers + PORT.ci, 4) & 1) === 0;
      if (failed) for (const value of RESTART) bus.write(port.registers + PORT.cmd, 4, value);
      if (over || failed) {
        bus.write(port.registers + PORT.is, 4, 0xffff_ffff);
        return failed ? undefined : this.#answer(port, into);
      }
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }

  #answer(port: AhciPort, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#controller.memory.read(port.answer, bytes);
    return bytes;
  }

  /** A command in slot 0 while nothing else happens. */
  #polled(
    port: AhciPort,
    command: number,
    feature: number,
    count: number,
    segments: readonly Segment[],
  ): void {
    const { bus } = this.#controller;
    const fis = [
      FIS.hostToDevice,
      FIS_COMMAND,
      command,
      feature,
      0,
      0,
      0,
      DEVICE.obsolete,
      0,
      0,
      0,
      0,
      count,
    ];
    port.fill(0, fis, segments, false);
    bus.write(port.registers + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#controller.settle();
      if ((bus.read(port.registers + PORT.ci, 4) & 1) === 0) return;
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }
}
