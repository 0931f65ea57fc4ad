/**
 * One access of a virtual CPU to a register, with everything that it costs: the exit, KVM's decoding, the way to QEMU and back. A
 * doorbell with an ioeventfd has a shorter way. Whoever writes a register lets QEMU's device code run on this CPU's thread until it
 * has nothing left to do, as under QEMU's big lock.
 */
import type { AccessSize, AddressSpace, Doorbell } from '../machine/address-space.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { EXIT } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';

/** Code that stands still after each event. */
export type Steps<T = void> = Generator<void, T>;

const P = {
  idle: 0,
  exit: 1,
  fast: 2,
  signal: 3,
  decode: 4,
  userspaceExit: 5,
  dispatch: 6,
  perform: 7,
  userspace: 8,
  answer: 9,
  decodeAnswer: 10,
  entry: 11,
} as const;

export interface RegisterAccessOptions {
  cpu: number;
  memory: AddressSpace;
  io: AddressSpace;
  /** Guest memory, for string instructions. */
  ram: GuestMemory;
  trace: TraceRing;
  /** QEMU's device code, run on this CPU's thread; false when there is nothing to do. */
  deviceStep: () => boolean;
}

/** Elements that KVM moves for one exit of a string instruction: a page (arch/x86/kvm/emulate.c, pio_in_emulated). */
const PAGE = 4096;

export class RegisterAccess {
  /** What a read answered. */
  value = 0;
  /** The device's code runs on this CPU's thread right now. */
  inUserspace = false;
  readonly #o: RegisterAccessOptions;
  #phase: number = P.idle;
  #port = false;
  #write = false;
  #address = 0;
  #size: AccessSize = 4;
  #requestId = 0;
  /** Elements of a string instruction and where in guest memory they lie; 1 for anything else. */
  #count = 1;
  #buffer = 0;
  #doorbell: Doorbell | undefined;
  /** Called when the device sees the access. */
  #reached: (() => void) | undefined;

  constructor(options: RegisterAccessOptions) {
    this.#o = options;
  }

  /** Begins an access to memory (`port` false) or to a port, on behalf of a request (0 for none). `step` does it. */
  begin(
    port: boolean,
    write: boolean,
    address: number,
    size: AccessSize,
    value: number,
    requestId: number,
  ): void {
    this.#port = port;
    this.#write = write;
    this.#address = address;
    this.#size = size;
    this.value = value;
    this.#requestId = requestId;
    this.#count = 1;
    this.#reached = undefined;
    this.#phase = P.exit;
  }

  *#run(): Steps<number> {
    while (this.step()) yield;
    return this.value;
  }

  /** Memory-mapped registers. */
  read(address: number, size: AccessSize, requestId = 0): Steps<number> {
    this.begin(false, false, address, size, 0, requestId);
    return this.#run();
  }
  /** `reached` is called at the very moment when the device sees the write: other CPUs run before it and after it. */
  write(
    address: number,
    size: AccessSize,
    value: number,
    requestId = 0,
    reached?: () => void,
  ): Steps<number> {
    this.begin(false, true, address, size, value, requestId);
    this.#reached = reached;
    return this.#run();
  }

  /** I/O ports. */
  in(port: number, size: AccessSize, requestId = 0): Steps<number> {
    this.begin(true, false, port, size, 0, requestId);
    return this.#run();
  }
  out(port: number, size: AccessSize, value: number, requestId = 0): Steps<number> {
    this.begin(true, true, port, size, value, requestId);
    return this.#run();
  }

  /**
   * `rep ins` (write false) and `rep outs`: `count` elements of `size` bytes between a port and guest memory at `buffer`; KVM
   * takes one exit for as many as a page holds. Throws `machine.*` when the buffer is not in RAM.
   */
  *string(
    write: boolean,
    port: number,
    size: AccessSize,
    count: number,
    buffer: number,
    requestId = 0,
  ): Steps {
    const most = PAGE / size;
    for (let done = 0; done < count; done += most) {
      this.begin(true, write, port, size, 0, requestId);
      this.#count = Math.min(most, count - done);
      this.#buffer = buffer + done * size;
      yield* this.#run();
    }
  }

  #emit(event: number, a = 0, b = 0, c = 0, d = 0): true {
    this.#o.trace.emit(event, this.#requestId, a, b, c, d);
    return true;
  }

  /** Does one thing: at most one event. False, having done nothing, when the access is done. */
  step(): boolean {
    const address = this.#address;
    const low = address >>> 0;
    const high = highWord(address);
    switch (this.#phase) {
      case P.idle:
        return false;
      case P.exit:
        this.#doorbell = this.#write ? this.#space.doorbellAt(address) : undefined;
        this.#phase = this.#doorbell !== undefined && !this.#port ? P.fast : this.#afterExit;
        return this.#emit(E.kvm_exit, this.#reason, low, high, this.#size);
      case P.fast:
        this.#phase = P.signal;
        return this.#emit(E.kvm_fast_mmio, low, high);
      case P.signal:
        this.#emit(E.ioeventfd_signal, this.#doorbell?.queue ?? 0);
        this.#doorbell?.ring(this.value);
        this.#phase = P.entry;
        return true;
      case P.decode:
        this.#phase = this.#doorbell === undefined ? P.userspaceExit : P.signal;
        return this.#port
          ? this.#emit(E.kvm_pio, this.#write ? 1 : 0, address, this.#size, this.value)
          : this.#emit(E.kvm_mmio, 1, low, high, this.value);
      case P.userspaceExit:
        this.#phase = this.#write && !this.#port ? P.dispatch : P.perform;
        return this.#emit(E.kvm_userspace_exit, this.#reason);
      case P.dispatch:
        this.#phase = P.perform;
        return this.#emit(E.memory_region_ops_write, low, high, this.value, this.#size);
      case P.perform:
        return this.#perform();
      case P.userspace:
        if (this.#o.deviceStep()) return true;
        this.inUserspace = false;
        this.#phase = P.entry;
        return this.step();
      case P.answer:
        this.#phase = P.decodeAnswer;
        return this.#emit(E.memory_region_ops_read, low, high, this.value, this.#size);
      case P.decodeAnswer:
        this.#phase = P.entry;
        return this.#emit(E.kvm_mmio, 0, low, high, this.value);
      default:
        this.#phase = P.idle;
        return this.#emit(E.kvm_entry, this.#o.cpu);
    }
  }

  get #space(): AddressSpace {
    return this.#port ? this.#o.io : this.#o.memory;
  }
  get #reason(): number {
    return this.#port ? EXIT.ioInstruction : EXIT.eptMisconfig;
  }
  /** Memory reads are decoded on the way back, when their value is known. */
  get #afterExit(): number {
    return this.#port || this.#write ? P.decode : P.userspaceExit;
  }

  #perform(): boolean {
    this.inUserspace = this.#write;
    this.#phase = this.#write ? P.userspace : this.#port ? P.entry : P.answer;
    this.#reached?.();
    if (this.#count > 1) this.#performString();
    else if (this.#write) this.#space.write(this.#address, this.#size, this.value);
    else this.value = this.#space.read(this.#address, this.#size);
    return true;
  }

  #performString(): void {
    const { ram } = this.#o;
    const at = ram.require(this.#buffer, this.#count * this.#size);
    if (!this.#write) ram.dirty(at, this.#count * this.#size);
    for (let i = 0; i < this.#count; i++) {
      const offset = at + i * this.#size;
      if (this.#write) this.#space.write(this.#address, this.#size, getUint(ram.view, offset, this.#size));
      else setUint(ram.view, offset, this.#size, this.#space.read(this.#address, this.#size));
    }
  }
}

function getUint(view: DataView, at: number, size: AccessSize): number {
  if (size === 1) return view.getUint8(at);
  return size === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
}

function setUint(view: DataView, at: number, size: AccessSize, value: number): void {
  if (size === 1) view.setUint8(at, value);
  else if (size === 2) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
}
