/**
 * Interrupts on their way to the virtual CPUs: messages (MSI, MSI-X), level-triggered INTx pins of PCI, and the edge-triggered lines of
 * the ISA bus. Pins and lines arrive at the I/O APIC by their number there (GSI).
 */

/** Messages to 0xFEE00000–0xFEEFFFFF go to local APICs (Intel SDM volume 3, section 11.11). */
export function isMsiAddress(address: number): boolean {
  return address >= 0xfee0_0000 && address <= 0xfeef_ffff;
}

export interface InterruptSink {
  /** A message: a 32-bit write of `data` to `address`, on behalf of a request (0 for none). */
  message(address: number, data: number, requestId: number): void;
  /** The level of INTx pin `pin` (0 = INTA) of the device in slot `slot` of the root bus changed. */
  line(slot: number, pin: number, level: boolean, requestId: number): void;
}

/** Lines of the ISA bus, which are a wire each: IDE's 14 and 15. */
export interface IsaInterruptSink {
  isa(irq: number, level: boolean, requestId: number): void;
}

/** Where messages and lines arrive behind KVM: the local APICs, and the I/O APIC by its pins. */
export interface GsiSink {
  message(address: number, data: number, requestId: number): void;
  gsi(gsi: number, level: boolean, requestId: number): void;
}

export interface PendingInterrupt {
  /** The local APIC's vector. */
  vector: number;
  /** The line that it came from, by its number at the I/O APIC; undefined for a device's message. */
  gsi: number | undefined;
  /** The request that it was first raised for, 0 for none. */
  requestId: number;
}

/** Which line of the I/O APIC an INTx pin of the root bus arrives at. */
export type PciRouting = (slot: number, pin: number) => number;

/** q35: slots 0–24 use PIRQ E–H, which are lines of their own (hw/pci-host/q35.c). */
export const q35Routing: PciRouting = (slot, pin) => 20 + ((slot + pin) & 3);
/** i440FX with PIIX3: four PIRQs, which SeaBIOS sends to ISA interrupts 10 and 11 (hw/isa/piix3.c). */
export const pcRouting: PciRouting = (slot, pin) => (((slot + pin - 1) & 3) < 2 ? 10 : 11);
