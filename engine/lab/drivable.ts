/** Which devices of a command line the laboratory can run, and what they are made with. */
import { PlatterError } from '../errors.ts';
import type { AioMode } from '../machine/host-io.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { BLK_DEFAULTS, type BlkProperties } from '../virtio/blk/options.ts';

/** Devices that the laboratory runs, by QEMU's names; the transitional ones are driven through their modern half. */
const DRIVABLE = new Set(['virtio-blk-pci', 'virtio-blk-pci-non-transitional', 'virtio-blk']);
/** Front ends for disks that it knows and cannot run. */
const KNOWN_DISKS =
  /^(virtio-(blk|scsi)|vhost-(scsi|user-(blk|scsi))|scsi-(hd|cd|block|generic)|ide-(hd|cd|drive)|ahci|ich9-ahci|nvme|nvme-ns|usb-storage|floppy|sd-card|lsi53c895a|megasas|pvscsi|mptsas1068)/;

export interface DrivableDevice {
  driver: string;
  /** `id=`, or the empty string. */
  id: string;
  /** What messages and the screen call it: `virtio-blk-pci virtio-disk1`. */
  label: string;
  /** The value of `drive=`. */
  drive: string;
  /** PCI slot of `addr=`, when it is given. */
  slot?: number;
  properties: Partial<BlkProperties>;
  /** `vectors=`, when it is given. */
  vectors?: number;
  ioeventfd: boolean;
  /** Served by an IOThread. */
  iothread: boolean;
  aio: AioMode;
  readOnly: boolean;
  /** `discard=unmap` (or `on`) of the drive. */
  unmap: boolean;
}

const param = (option: Option | undefined, key: string): string | undefined =>
  option?.params.findLast((entry) => entry.key === key)?.value;

function isOn(option: Option, key: string, otherwise: boolean): boolean {
  const value = param(option, key);
  return value === undefined
    ? otherwise
    : value === 'on' || value === 'yes' || value === 'true' || value === 'y';
}

/** A decimal or `0x` number with QEMU's size suffixes. Throws `lab.bad-value`. */
function numberOf(option: Option, key: string, limits: { least: number; most: number }): number | undefined {
  const text = param(option, key);
  if (text === undefined) return undefined;
  const match = /^(0x[0-9a-f]+|\d+)([kmg]?)$/i.exec(text);
  const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match?.[2].toLowerCase() ?? ''] ?? 1;
  const value = match === null ? NaN : Number(match[1]) * unit;
  if (!(value >= limits.least && value <= limits.most)) {
    throw new PlatterError(
      'lab.bad-value',
      `${key}=${text}: expected a number from ${limits.least} to ${limits.most}`,
      {
        option: key,
        value: text,
        expected: `${limits.least}–${limits.most}`,
      },
    );
  }
  return value;
}

function powerOfTwo(option: Option, key: string, most: number): number | undefined {
  const value = numberOf(option, key, { least: 2, most });
  if (value !== undefined && (value & (value - 1)) !== 0) {
    throw new PlatterError('lab.bad-value', `${key}=${value}: expected a power of two`, {
      option: key,
      value: String(value),
      expected: '2^n',
    });
  }
  return value;
}

/** `addr=slot` or `addr=slot.function`, both hexadecimal as QEMU reads them. */
function slotOf(option: Option): number | undefined {
  const text = param(option, 'addr');
  if (text === undefined) return undefined;
  const match = /^(?:0x)?([0-9a-f]{1,2})(?:\.0)?$/i.exec(text);
  const slot = match === null ? NaN : parseInt(match[1], 16);
  if (!(slot <= 31)) {
    throw new PlatterError('lab.bad-value', `addr=${text}: expected a slot from 0x0 to 0x1f, function 0`, {
      option: 'addr',
      value: text,
      expected: '0x0–0x1f',
    });
  }
  return slot;
}

/** The number of virtual CPUs: `-smp N` or `-smp cpus=N`. */
export function cpuCount(line: CommandLine): number {
  const smp = line.options.findLast(({ name }) => name === 'smp');
  const first = smp?.argument?.split(',')[0] ?? '1';
  const cpus = Number(param(smp, 'cpus') ?? first);
  return Number.isInteger(cpus) && cpus > 0 && cpus <= 255 ? cpus : 1;
}

function propertiesOf(option: Option, cpus: number): Partial<BlkProperties> {
  const sizes = { least: 512, most: 2 * 1024 * 1024 };
  const given: Partial<BlkProperties> = {
    serial: param(option, 'serial'),
    numQueues: numberOf(option, 'num-queues', { least: 1, most: 1024 }) ?? cpus,
    queueSize: powerOfTwo(option, 'queue-size', 1024),
    logicalBlockSize: numberOf(option, 'logical_block_size', sizes),
    physicalBlockSize: numberOf(option, 'physical_block_size', sizes),
    minIoSize: numberOf(option, 'min_io_size', { least: 0, most: 65535 * 512 }),
    optIoSize: numberOf(option, 'opt_io_size', { least: 0, most: 0x7fff_ffff }),
    segMaxAdjust: isOn(option, 'seg-max-adjust', BLK_DEFAULTS.segMaxAdjust),
    writeCache: isOn(option, 'write-cache', BLK_DEFAULTS.writeCache),
    configWce: isOn(option, 'config-wce', BLK_DEFAULTS.configWce),
    discard: isOn(option, 'discard', BLK_DEFAULTS.discard),
    writeZeroes: isOn(option, 'write-zeroes', BLK_DEFAULTS.writeZeroes),
    indirectDesc: isOn(option, 'indirect_desc', BLK_DEFAULTS.indirectDesc),
    eventIdx: isOn(option, 'event_idx', BLK_DEFAULTS.eventIdx),
    queueReset: isOn(option, 'queue_reset', BLK_DEFAULTS.queueReset),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The back end that `drive=` names: `-drive id=` or `-blockdev node-name=`. */
function backEnd(line: CommandLine, drive: string): Option | undefined {
  return line.options.find(
    (option) =>
      (option.name === 'drive' && param(option, 'id') === drive) ||
      (option.name === 'blockdev' && param(option, 'node-name') === drive),
  );
}

function aioOf(option: Option | undefined): AioMode {
  const aio = param(option, 'aio') ?? param(option, 'file.aio');
  return aio === 'io_uring' || aio === 'native' ? aio : 'threads';
}

function unmapOf(option: Option): boolean {
  const discard = param(option, 'discard');
  return discard === 'unmap' || discard === 'on';
}

function describe(option: Option, line: CommandLine): DrivableDevice {
  const driver = param(option, 'driver') ?? '';
  const id = param(option, 'id') ?? '';
  const label = id === '' ? driver : `${driver} ${id}`;
  const drive = param(option, 'drive');
  if (drive === undefined) {
    throw new PlatterError(
      'lab.no-drive',
      `${label} has no drive=; name the -drive or -blockdev that it is to use`,
      {
        option: 'drive',
        value: label,
      },
    );
  }
  const back = backEnd(line, drive);
  if (back === undefined) {
    throw new PlatterError(
      'lab.unknown-drive',
      `${label}: no -drive has id=${drive} and no -blockdev node-name=${drive}`,
      {
        option: 'drive',
        value: drive,
      },
    );
  }
  return {
    driver,
    id,
    label,
    drive,
    slot: slotOf(option),
    properties: propertiesOf(option, cpuCount(line)),
    vectors: numberOf(option, 'vectors', { least: 0, most: 2048 }),
    ioeventfd: isOn(option, 'ioeventfd', true),
    iothread: param(option, 'iothread') !== undefined,
    aio: aioOf(back),
    readOnly: isOn(back, 'readonly', isOn(back, 'read-only', false)),
    unmap: unmapOf(back),
  };
}

/** `-drive if=virtio`, which makes a virtio-blk-pci of its own. */
function implicitDevice(line: CommandLine, deviceId: string | undefined): DrivableDevice | undefined {
  const option = line.options.find(
    (entry) =>
      entry.name === 'drive' &&
      param(entry, 'if') === 'virtio' &&
      (deviceId === undefined || param(entry, 'id') === deviceId),
  );
  if (option === undefined) return undefined;
  const at = line.options
    .filter((entry) => entry.name === 'drive' && param(entry, 'if') === 'virtio')
    .indexOf(option);
  const drive = param(option, 'id') ?? `virtio${at}`;
  return {
    driver: 'virtio-blk-pci',
    id: drive,
    label: `virtio-blk-pci ${drive}`,
    drive,
    properties: { numQueues: cpuCount(line) },
    ioeventfd: true,
    iothread: false,
    aio: aioOf(option),
    readOnly: isOn(option, 'readonly', false),
    unmap: unmapOf(option),
  };
}

/**
 * The device to work on. Throws `lab.no-device` (none is a disk), `lab.unknown-device` (no such id), `lab.not-drivable` (a disk
 * that the laboratory cannot run yet), and what its options are refused for.
 */
export function drivableDevice(line: CommandLine, deviceId?: string): DrivableDevice {
  const devices = line.options.filter(({ name, params }) => name === 'device' && params.length > 0);
  const disks = devices.filter((option) => KNOWN_DISKS.test(param(option, 'driver') ?? ''));
  const wanted =
    deviceId === undefined
      ? (disks.find((option) => DRIVABLE.has(param(option, 'driver') ?? '')) ?? disks[0])
      : devices.find((option) => param(option, 'id') === deviceId);
  if (wanted === undefined) {
    const implicit = implicitDevice(line, deviceId);
    if (implicit !== undefined) return implicit;
    throw deviceId === undefined
      ? new PlatterError(
          'lab.no-device',
          'the command line has no disk device; add -device virtio-blk-pci,drive=… and a -drive',
          {
            option: 'device',
          },
        )
      : new PlatterError('lab.unknown-device', `no -device has id=${deviceId}`, {
          option: 'id',
          value: deviceId,
        });
  }
  const driver = param(wanted, 'driver') ?? '';
  if (!DRIVABLE.has(driver)) {
    throw new PlatterError(
      'lab.not-drivable',
      `the lab cannot run ${driver} yet; it runs ${[...DRIVABLE].join(', ')}`,
      {
        option: 'device',
        value: driver,
        expected: [...DRIVABLE].join(', '),
      },
    );
  }
  return describe(wanted, line);
}
