/**
 * The SCSI host (virtio 1.2, section 5.6), answering as QEMU's virtio-scsi (hw/scsi/virtio-scsi.c) does: control, event and request
 * queues over a SCSI bus with targets and logical units.
 */
import type { LogicalUnit } from '../../scsi/command.ts';
import { PlatterError } from '../../errors.ts';
import type { HostIo } from '../../machine/host-io.ts';
import { IoErrors, type IoErrorReport } from '../../machine/io-errors.ts';
import type { RunState } from '../../machine/run-state.ts';
import { ScsiBus } from '../../scsi/bus.ts';
import { SENSE, type Sense } from '../../scsi/sense.ts';
import { STATUS } from '../features.ts';
import { E } from '../../trace/registry.ts';
import { VirtioDevice, type VirtioDeviceOptions, type VirtQueueState } from '../device.ts';
import {
  CDB_SIZE_LIMIT,
  DEFAULT_CDB_SIZE,
  DEFAULT_SENSE_SIZE,
  SCSI_CONFIG,
  SCSI_CONFIG_BYTES,
  scsiConfig,
  SENSE_SIZE_LIMIT,
} from './config.ts';
import { offeredFeatures, SCSI_DEFAULTS, SCSI_F, type ScsiProperties } from './options.ts';
import { encodeAddress, EVENT, QUEUE, RESET_REASON } from './protocol.ts';
import { ScsiThread } from './thread.ts';

export interface VirtioScsiOptions extends Pick<
  VirtioDeviceOptions,
  'name' | 'memory' | 'trace' | 'nextRequestId'
> {
  host: HostIo;
  properties?: Partial<ScsiProperties>;
  /** The device interrupts through irqfds, as QEMU's does when its doorbells are ioeventfds: with an IOThread and without. */
  irqfd?: boolean;
  /** A logical unit answered later than it was asked: there is something to do. */
  onReady?: () => void;
  /** What `rerror=stop` and its like of the disks stop. Without it such errors are reported to the driver. */
  runState?: RunState;
  /** Hears of every failed request (QMP's `BLOCK_IO_ERROR`). */
  onIoError?: (report: IoErrorReport) => void;
}

export class VirtioScsi extends VirtioDevice {
  readonly deviceId = 8;
  readonly configSize = SCSI_CONFIG_BYTES;
  readonly bus = new ScsiBus();
  readonly properties: ScsiProperties;
  /** Bytes of sense data and CDB, as the driver set them. */
  senseSize = DEFAULT_SENSE_SIZE;
  cdbSize = DEFAULT_CDB_SIZE;
  readonly #config: DataView;
  readonly #thread: ScsiThread;

  constructor(options: VirtioScsiOptions) {
    const properties: ScsiProperties = { ...SCSI_DEFAULTS, ...options.properties };
    super({
      ...options,
      queues: Array.from({ length: properties.numQueues + QUEUE.request }, () => properties.queueSize),
      offered: offeredFeatures(properties),
    });
    this.properties = properties;
    this.#config = scsiConfig(properties);
    const errors = new IoErrors({ ...options, trace: this.trace });
    this.#thread = new ScsiThread({
      device: this,
      host: options.host,
      irqfd: options.irqfd ?? false,
      onReady: options.onReady,
      errors,
      requestIdOf: (queue, head) => this.requestIdOf(queue, head),
      fail: (queue, error) => this.fail(queue, error),
    });
    // As QEMU on `cont`: every queue is looked at, since doorbells may have been rung meanwhile.
    errors.onCont(() => {
      for (const { index } of this.queues) this.notify(index);
    });
  }

  /** Commands by what they did, and those that did not go well. */
  get stats(): ScsiThread['stats'] {
    return this.#thread.stats;
  }
  /** Why the last transfer failed at the block node, for the screen. */
  get lastFailure(): unknown {
    return this.#thread.lastFailure;
  }

  /** Requests that wait for the machine to run on. */
  get waitingForCont(): number {
    return this.#thread.waitingForCont;
  }

  // ---- configuration space ----

  readConfig(offset: number, size: 1 | 2 | 4): number {
    if (size === 1) return this.#config.getUint8(offset);
    return size === 2 ? this.#config.getUint16(offset, true) : this.#config.getUint32(offset, true);
  }

  /** Section 5.6.4: only `sense_size` and `cdb_size` can be written; sizes that no request could have lay the device down. */
  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    const copy = new DataView(this.#config.buffer.slice(0));
    for (let i = 0; i < size; i++) copy.setUint8(offset + i, (value >>> (i * 8)) & 0xff);
    const senseSize = copy.getUint32(SCSI_CONFIG.senseSize, true);
    const cdbSize = copy.getUint32(SCSI_CONFIG.cdbSize, true);
    if (senseSize >= SENSE_SIZE_LIMIT || cdbSize >= CDB_SIZE_LIMIT) {
      this.fail(
        this.queues[QUEUE.control],
        new PlatterError(
          'virtio.scsi-config',
          `virtio 1.2, section 5.6.4: sense_size must be below ${SENSE_SIZE_LIMIT} and cdb_size below ${CDB_SIZE_LIMIT}; ` +
            `found ${senseSize} and ${cdbSize}`,
          { field: '5.6.4', value: `${senseSize}, ${cdbSize}` },
        ),
      );
      return;
    }
    this.#setSizes(senseSize, cdbSize);
  }

  #setSizes(senseSize: number, cdbSize: number): void {
    this.senseSize = senseSize;
    this.cdbSize = cdbSize;
    this.#config.setUint32(SCSI_CONFIG.senseSize, senseSize, true);
    this.#config.setUint32(SCSI_CONFIG.cdbSize, cdbSize, true);
  }

  // ---- logical units ----

  /**
   * Adds a logical unit. When the driver is up it is told by an event, and by a unit attention of whoever is asked next. Throws
   * RangeError for an address that does not exist or is taken.
   */
  attach(target: number, lun: number, unit: LogicalUnit): void {
    this.bus.attach(target, lun, unit);
    unit.listener = {
      trayMoved: (open) => this.trace.emit(E.DEVICE_TRAY_MOVED, 0, open ? 1 : 0, 0, 0, 0),
      attention: ({ asc, ascq }) =>
        this.trace.emit(E.scsi_device_set_ua, 0, target, lun, asc * 256 + ascq, 0),
    };
    this.#listChanged(target, lun, RESET_REASON.rescan);
  }

  /** Takes a logical unit away; commands of it that still run are answered as the unit does. False when there is none. */
  detach(target: number, lun: number): boolean {
    if (this.bus.unit(target, lun) === undefined) return false;
    this.#listChanged(target, lun, RESET_REASON.removed);
    return this.bus.detach(target, lun);
  }

  #listChanged(target: number, lun: number, reason: number): void {
    if (!this.#up || !this.has(SCSI_F.hotplug)) return;
    this.#thread.event(EVENT.transportReset, encodeAddress(target, lun), reason);
    this.bus.setAttention(SENSE.reportedLunsChanged);
  }

  /** A unit's parameters changed (its capacity, say) and it has a unit attention pending: CD-ROMs are not told of by event. */
  parametersChanged(target: number, lun: number, sense: Sense): void {
    const unit = this.bus.unit(target, lun);
    if (!this.#up || !this.has(SCSI_F.change) || unit === undefined || unit.type === CDROM) return;
    this.#thread.event(EVENT.paramChange, encodeAddress(target, lun), sense.asc | (sense.ascq << 8));
  }

  get #up(): boolean {
    return (this.status & STATUS.driverOk) !== 0;
  }

  // ---- reset ----

  /** Section 5.6.6: every unit is reset as well, and says so to whoever asks next. */
  protected resetDevice(): void {
    this.#thread.drop();
    this.#setSizes(DEFAULT_SENSE_SIZE, DEFAULT_CDB_SIZE);
    for (const { unit } of this.bus.units()) unit.reset();
  }

  protected queueDropped(queue: VirtQueueState): void {
    this.#thread.drop(queue);
  }
  protected get draining(): boolean {
    return this.#thread.draining;
  }

  // ---- work ----

  protected notified(queue: VirtQueueState): void {
    this.#thread.notified(queue);
  }

  /** Whether `step` would do something. */
  get busy(): boolean {
    return this.#thread.busy;
  }

  /**
   * Everything, the disk included, until nothing is left to do or the budget is spent (a ring that always has more must not starve
   * everybody else); true when something is left. For whoever has no scheduler of his own.
   */
  override process(): boolean {
    this.memory.refresh();
    return this.#thread.process();
  }

  step(): boolean {
    return this.#thread.step();
  }
}

/** Peripheral device type of a CD/DVD. */
const CDROM = 5;
