/** What a laboratory shows of itself at one moment: everything that the page asks for once an animation frame. */
import type { DiskView, LabFrame, LabFrameRequest, LabRunState } from '#contract/lab.ts';
import type { PlainError } from '../errors.ts';
import { currentStations, findEvents } from '../trace/query.ts';
import { E, EVENTS } from '../trace/registry.ts';
import { moveRows } from '../trace/row.ts';
import type { TraceRing } from '../trace/ring.ts';
import { STATIONS } from '../trace/stations.ts';
import { ioapicSections } from './details/ioapic.ts';
import { pciSections } from './details/pci.ts';
import { lapicSections } from './details/lapic.ts';
import { picSections } from './details/pic.ts';
import { detailView, type Section } from './details/section.ts';
import { trayView, type HostHand } from './host-hand.ts';
import type { Machine } from './machine.ts';
import type { LabDevice, LabDisk } from './machines/kind.ts';

/** A laboratory as it stands. */
export interface Shown {
  state: LabRunState;
  error: PlainError | undefined;
  trace: TraceRing;
  machine: Machine;
  /** The host's side of each disk, and the drive behind it. */
  hands: readonly HostHand[];
  drives: readonly string[];
  /** What booting the guest took: events by number, model nanoseconds. */
  bootCounts: Float64Array;
  bootModelNs: number;
  /** Nanoseconds that the laboratory has run for. */
  realNs: number;
}

/** A queue's doorbell was heard: by QEMU, by the host's kernel, by another process. */
const DOORBELLS = [E.virtio_queue_notify, E.vhost_scsi_handle_kick, E.vu_kick_cb];

/** The disk of this number; the first one when there is none. */
export function diskOf({ disks }: Machine, disk = 0): LabDisk {
  return disks[disk] ?? disks[0];
}

export function frameOf(shown: Shown, request: LabFrameRequest): LabFrame {
  const { trace, machine, bootModelNs } = shown;
  const { device } = diskOf(machine, request.disk);
  const { from, count, requestId } = request;
  const most = Math.min(Math.max(0, Math.floor(count)), trace.capacity);
  const numbers = findEvents(trace, Math.floor(from), most, { requestId });
  return {
    seq: request.seq,
    status: shown.state,
    error: shown.error,
    totalEvents: trace.total,
    firstEvent: trace.first,
    rows: moveRows(trace.copy(numbers), -bootModelNs),
    rowNumbers: Float64Array.from(numbers),
    stationEvents: stationEvents(shown),
    stationOccupancy: stationOccupancy(shown),
    counters: counters(shown),
    realNs: shown.realNs,
    modelNs: machine.scheduler.modelNs - bootModelNs,
    queue: request.queue === null ? null : device.queue(request.queue),
    queueCount: device.queueCount,
    details:
      typeof request.details === 'string' ? detailView(sections(machine, device), request.details) : null,
    vectors: device.vectors(),
    device: device.summary(),
    disks: diskViews(shown),
  };
}

function diskViews({ machine: { disks, guest }, drives, hands, bootModelNs }: Shown): DiskView[] {
  return guest.disks.map(({ counters: own, waitedNs, lastNs }, index) => ({
    name: disks[index].device.summary().name,
    drive: drives[index],
    counters: { ...own },
    waitedNs,
    lastNs: Math.max(0, lastNs - bootModelNs),
    fault: hands[index].faults.next,
    tray: trayView(disks[index].removable),
  }));
}

/** Events since the guest was up. */
function since({ trace, bootCounts }: Shown, event: number): number {
  return trace.counts[event] - bootCounts[event];
}

function stationEvents(shown: Shown): Float64Array {
  const events = new Float64Array(STATIONS.length);
  for (const definition of EVENTS) {
    if (definition !== undefined) events[definition.station - 1] += since(shown, definition.id);
  }
  return events;
}

function stationOccupancy({ trace, machine }: Shown): Float64Array {
  const occupancy = new Float64Array(STATIONS.length);
  const ids = machine.guest.slots.filter(({ busy }) => busy).map(({ requestId }) => requestId);
  for (const station of currentStations(trace, ids).values()) {
    if (station > 0) occupancy[station - 1]++;
  }
  return occupancy;
}

/** What the Device view shows: the device, the local APICs, and the other interrupt controllers when the device uses a line. */
function sections({ apics }: Machine, device: LabDevice): Section[] {
  const own = device.details?.() ?? (device.pci === undefined ? [] : pciSections(device.pci));
  return [
    ...own,
    ...lapicSections(apics.controllers),
    ...ioapicSections(apics.ioapic),
    ...picSections(apics.pic),
  ];
}

function counters(shown: Shown): LabFrame['counters'] {
  return {
    ...shown.machine.guest.counters,
    exits: since(shown, E.kvm_exit),
    interrupts: since(shown, E.kvm_inj_virq),
    notifications: DOORBELLS.reduce((sum, event) => sum + since(shown, event), 0),
  };
}
