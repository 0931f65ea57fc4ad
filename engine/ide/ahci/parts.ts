/** What the parts of one AHCI port share. */
import type { GuestMemory } from '../../machine/memory.ts';
import { E } from '../../trace/registry.ts';
import type { IdeChannel } from '../channel.ts';
import type { PortRegisters } from './port-registers.ts';

export interface PortParts {
  readonly number: number;
  readonly channel: IdeChannel;
  readonly memory: GuestMemory;
  readonly registers: PortRegisters;
  /** Whether the function may master the bus. */
  readonly enabled: () => boolean;
  /** The port's interrupt status or mask changed. */
  readonly interrupt: (requestId: number) => void;
}

/** Records an event of the port, on behalf of the channel's request; `a` is the port's number. */
export function emit({ channel, number }: PortParts, event: number, b = 0, c = 0, d = 0): void {
  channel.trace.emit(event, channel.requestId, number, b, c, d);
}

/** Sets a bit of PxIS by its number. */
export function trigger(port: PortParts, bit: number): void {
  const { registers } = port;
  registers.is = (registers.is | (1 << bit)) >>> 0;
  emit(port, E.ahci_trigger_irq, bit, registers.is);
  port.interrupt(port.channel.requestId);
}
