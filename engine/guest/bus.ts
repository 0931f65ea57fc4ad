/**
 * The guest's way to registers while a driver initialises its device and nothing else happens: every access leaves the guest, KVM
 * hands it to QEMU, and the virtual CPU comes back with the answer. Later accesses go step by step (register-access.ts).
 */
import type { AccessSize, AddressSpace } from '../machine/address-space.ts';
import { CONFIG_PORTS } from '../machine/pci/root.ts';
import { EXIT } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';

export class GuestBus {
  readonly memory: AddressSpace;
  readonly io: AddressSpace;
  readonly #trace: TraceRing;
  #configAddress = 0;

  constructor(memory: AddressSpace, io: AddressSpace, trace: TraceRing) {
    this.memory = memory;
    this.io = io;
    this.#trace = trace;
  }

  #exit(reason: number, address: number, size: number): void {
    this.#trace.emit(E.kvm_exit, 0, reason, address >>> 0, highWord(address), size);
  }
  #back(): void {
    this.#trace.emit(E.kvm_entry, 0, 0, 0, 0, 0);
  }

  read(address: number, size: AccessSize): number {
    const trace = this.#trace;
    this.#exit(EXIT.eptMisconfig, address, size);
    trace.emit(E.kvm_userspace_exit, 0, EXIT.eptMisconfig, 0, 0, 0);
    const value = this.memory.read(address, size);
    trace.emit(E.memory_region_ops_read, 0, address >>> 0, highWord(address), value, size);
    trace.emit(E.kvm_mmio, 0, 0, address >>> 0, highWord(address), value);
    this.#back();
    return value;
  }

  write(address: number, size: AccessSize, value: number): void {
    const trace = this.#trace;
    this.#exit(EXIT.eptMisconfig, address, size);
    trace.emit(E.kvm_mmio, 0, 1, address >>> 0, highWord(address), value);
    trace.emit(E.kvm_userspace_exit, 0, EXIT.eptMisconfig, 0, 0, 0);
    trace.emit(E.memory_region_ops_write, 0, address >>> 0, highWord(address), value, size);
    this.memory.write(address, size, value);
    this.#back();
  }

  /** A register of an interrupt controller that KVM itself emulates: an exit, but none to user space. */
  inKernelWrite(address: number, value: number): void {
    this.#exit(EXIT.eptMisconfig, address, 4);
    this.#trace.emit(E.kvm_mmio, 0, 1, address >>> 0, highWord(address), value);
    this.memory.write(address, 4, value);
    this.#back();
  }

  inKernelOut(port: number, value: number): void {
    this.#exit(EXIT.ioInstruction, port, 1);
    this.#trace.emit(E.kvm_pio, 0, 1, port, 1, value);
    this.io.write(port, 1, value);
    this.#back();
  }

  #port(write: boolean, port: number, size: AccessSize, value: number): number {
    const trace = this.#trace;
    this.#exit(EXIT.ioInstruction, port, size);
    trace.emit(E.kvm_pio, 0, write ? 1 : 0, port, size, value);
    trace.emit(E.kvm_userspace_exit, 0, EXIT.ioInstruction, 0, 0, 0);
    let answer = value;
    if (write) this.io.write(port, size, value);
    else answer = this.io.read(port, size);
    if (port >= CONFIG_PORTS + 4 && port < CONFIG_PORTS + 8) {
      const devfn = (this.#configAddress >> 8) & 0xff;
      const register = (this.#configAddress & 0xfc) + (port & 3);
      trace.emit(write ? E.pci_cfg_write : E.pci_cfg_read, 0, devfn, register, answer, 0);
    }
    this.#back();
    return answer;
  }

  /** I/O ports. */
  in(port: number, size: AccessSize): number {
    return this.#port(false, port, size, 0);
  }
  out(port: number, size: AccessSize, value: number): void {
    this.#port(true, port, size, value);
  }

  /** `slot` is counted over all buses, 32 to each: that is how the address register has them. */
  #select(slot: number, offset: number, number: number): number {
    this.#configAddress = (0x8000_0000 | (slot << 11) | (number << 8) | (offset & 0xfc)) >>> 0;
    this.#port(true, CONFIG_PORTS, 4, this.#configAddress);
    return CONFIG_PORTS + 4 + (offset & 3);
  }

  /** PCI configuration space by mechanism 1: function `number` of a slot, counted over all buses (bus number times 32 plus slot). */
  configRead(slot: number, offset: number, size: AccessSize, number = 0): number {
    return this.#port(false, this.#select(slot, offset, number), size, 0);
  }
  configWrite(slot: number, offset: number, size: AccessSize, value: number, number = 0): void {
    this.#port(true, this.#select(slot, offset, number), size, value);
  }
}
