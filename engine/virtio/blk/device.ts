/**
 * virtio-blk (virtio 1.2, section 5.2), answering as QEMU's (hw/block/virtio-blk.c) does: configuration space, negotiation, reset. Its
 * requests are understood in commands.ts, served in thread.ts and answered in completion.ts.
 */
import type { BlockNode } from '../../block/node.ts';
import type { HostIo } from '../../machine/host-io.ts';
import { IoErrors, type IoErrorReport } from '../../machine/io-errors.ts';
import type { RunState } from '../../machine/run-state.ts';
import { VirtioDevice, type VirtioDeviceOptions, type VirtQueueState } from '../device.ts';
import { F, featureSet } from '../features.ts';
import { BlkCommands } from './commands.ts';
import { BlkCompletion, type BlkStats } from './completion.ts';
import { BLK_CONFIG, blkConfig, blkConfigSize } from './config.ts';
import { BLK_DEFAULTS, offeredFeatures, type BlkProperties } from './options.ts';
import { SECTOR } from './protocol.ts';
import { BlkShortcut } from './shortcut.ts';
import { BlkThread } from './thread.ts';

export interface VirtioBlkOptions extends Pick<
  VirtioDeviceOptions,
  'name' | 'memory' | 'trace' | 'nextRequestId'
> {
  node: BlockNode;
  host: HostIo;
  properties?: Partial<BlkProperties>;
  /** Offer the disk read-only although the node could be written. */
  readOnly?: boolean;
  /** `discard=unmap` of the drive: discards reach the node. QEMU's default answers them without doing anything. */
  unmap?: boolean;
  /** The device interrupts through irqfds, as QEMU's does when its doorbells are ioeventfds: with an IOThread and without. */
  irqfd?: boolean;
  /** What `rerror=stop`, `werror=stop` and `werror=enospc` stop. Without it such errors are reported to the driver. */
  runState?: RunState;
  /** Hears of every failed request (QMP's `BLOCK_IO_ERROR`). */
  onIoError?: (report: IoErrorReport) => void;
}

/** `process` serves at most so many rings' worth of chains before it comes back. */
const ROUNDS = 4;

export class VirtioBlk extends VirtioDevice {
  readonly deviceId = 2;
  readonly configSize: number;
  readonly node: BlockNode;
  readonly readOnly: boolean;
  readonly properties: BlkProperties;
  /** Requests by what they did, and those that did not go well. */
  readonly stats: BlkStats;
  readonly #host: HostIo;
  readonly #config: DataView;
  readonly #commands: BlkCommands;
  readonly #thread: BlkThread;

  constructor(options: VirtioBlkOptions) {
    const properties: BlkProperties = { ...BLK_DEFAULTS, ...options.properties };
    const readOnly = options.readOnly === true || options.node.readOnly;
    super({
      ...options,
      queues: Array.from({ length: properties.numQueues }, () => properties.queueSize),
      offered: offeredFeatures(properties, readOnly),
    });
    const { memory, trace } = this;
    const { node } = options;
    const errors = new IoErrors({ ...options, trace });
    const irqfd = options.irqfd ?? false;
    this.properties = properties;
    this.node = node;
    this.readOnly = readOnly;
    this.configSize = blkConfigSize(properties);
    this.#config = blkConfig(node.virtualSize, properties, properties.writeCache);
    this.#host = options.host;
    this.#commands = new BlkCommands(memory, trace, {
      node,
      properties,
      readOnly,
      unmap: options.unmap ?? false,
    });
    this.#commands.writeback = properties.writeCache;
    const completion = new BlkCompletion(memory, trace);
    this.stats = completion.stats;
    const requestIdOf = (queue: VirtQueueState, head: number): number => this.requestIdOf(queue, head);
    this.#thread = new BlkThread({
      device: this,
      host: options.host,
      commands: this.#commands,
      completion,
      shortcut: new BlkShortcut(node, memory, trace, this.#commands, this.stats, irqfd, requestIdOf),
      irqfd,
      policies: properties,
      errors,
      requestIdOf,
      fail: (queue, error) => this.fail(queue, error),
    });
    // As QEMU on `cont`: every queue is looked at, since doorbells may have been rung meanwhile.
    errors.onCont(() => {
      for (const { index } of this.queues) this.notify(index);
    });
  }

  // ---- configuration space ----

  readConfig(offset: number, size: 1 | 2 | 4): number {
    if (size === 1) return this.#config.getUint8(offset);
    return size === 2 ? this.#config.getUint16(offset, true) : this.#config.getUint32(offset, true);
  }

  /** Section 5.2.5.2: only `writeback` can be written. */
  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    const at = BLK_CONFIG.writeback - offset;
    if (at < 0 || at >= size) return;
    this.#setWriteback(((value >>> (at * 8)) & 0xff) !== 0);
  }

  /**
   * The node below grew or shrank (QEMU's `virtio_blk_resize`): `capacity` tells it, and the driver is told to look (section 5.2.6.2).
   * The geometry stays what it was, as in QEMU.
   */
  capacityChanged(): void {
    this.#commands.capacityChanged();
    this.#config.setBigUint64(BLK_CONFIG.capacity, BigInt(Math.floor(this.node.virtualSize / SECTOR)), true);
    this.configChanged();
  }

  /** The write cache is on. */
  get writeback(): boolean {
    return this.#commands.writeback;
  }

  #setWriteback(on: boolean): void {
    this.#commands.writeback = on;
    this.#config.setUint8(BLK_CONFIG.writeback, on ? 1 : 0);
  }

  /** What was negotiated holds from now on. Section 5.2.5.2: without CONFIG_WCE, a driver that did not take FLUSH gets a write-through cache. */
  protected override onDriverOk(started: boolean): void {
    this.#commands.secureErase = this.has(F.BLK_SECURE_ERASE);
    this.#commands.sizeMax = this.has(F.BLK_SIZE_MAX) ? this.properties.sizeMax : Infinity;
    if (started && !this.has(F.BLK_CONFIG_WCE)) this.#setWriteback(this.has(F.BLK_FLUSH));
  }

  /** As QEMU: on a legacy-only device SCSI commands are offered (and refused), and the layout of requests is not free. */
  override legacyFeatures(modern: boolean): bigint {
    const common = super.legacyFeatures(modern);
    return modern ? common : (common & ~featureSet(F.ANY_LAYOUT)) | featureSet(F.BLK_SCSI);
  }

  /** Why the last request failed at the block node, for the screen. */
  get lastFailure(): unknown {
    return this.#thread.lastFailure;
  }

  /** Failed requests that wait for the machine to run on. */
  get waitingForCont(): number {
    return this.#thread.requests.retry.length;
  }

  // ---- reset ----

  protected resetDevice(): void {
    this.#thread.drop();
    this.#setWriteback(this.properties.writeCache);
  }

  protected queueDropped(queue: VirtQueueState): void {
    this.#thread.drop(queue);
  }

  protected get draining(): boolean {
    return this.#thread.requests.atHost > 0;
  }

  // ---- the device's thread ----

  protected notified(queue: VirtQueueState): void {
    this.#thread.notified(queue);
  }

  /** Whether `step` would do something. */
  get busy(): boolean {
    return this.#thread.busy;
  }

  step(): boolean {
    return this.#thread.step();
  }

  /**
   * Everything, the disk included, until nothing is left to do or the budget is spent (a ring that always has more must not starve
   * others). True when work is left: call it again. For whoever has no scheduler of his own.
   */
  override process(): boolean {
    this.memory.refresh();
    const thread = this.#thread;
    thread.single = false;
    thread.budget = 0;
    for (const { size } of this.queues) thread.budget += size * ROUNDS;
    do while (thread.step());
    while (this.#host.stepHardware());
    thread.single = true;
    return thread.budget <= 0 && thread.busy;
  }
}
